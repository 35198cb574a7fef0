//! The program against a real cluster, where `NETCHECK_E2E_KUBECONFIG` names one. It makes two namespaces of its own, with
//! `kubectl`, and removes them.

use std::io::Write;
use std::process::{Command, Output, Stdio};

struct Cluster {
    kubeconfig: String,
    shop: String,
    stock: String,
}

impl Cluster {
    fn new() -> Option<Self> {
        let Ok(kubeconfig) = std::env::var("NETCHECK_E2E_KUBECONFIG") else {
            eprintln!("skipped: NETCHECK_E2E_KUBECONFIG names no cluster");
            return None;
        };
        let id = std::process::id();
        let cluster =
            Self { kubeconfig, shop: format!("netcheck-e2e-shop-{id}"), stock: format!("netcheck-e2e-stock-{id}") };
        cluster.apply(&cluster.manifests());
        let pods = ["wait", "--for=condition=Ready", "pod", "--all", "--timeout=180s", "-n"];
        for namespace in [&cluster.shop, &cluster.stock] {
            let mut args = pods.to_vec();
            args.push(namespace);
            assert!(cluster.kubectl(&args, None).status.success(), "pods of {namespace} are ready");
        }
        Some(cluster)
    }

    fn manifests(&self) -> String {
        let (shop, stock) = (&self.shop, &self.stock);
        let pod = |namespace: &str, name: &str| {
            format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}\nspec:\n  terminationGracePeriodSeconds: 0\n  \
                 containers:\n  - {{name: main, image: busybox, command: [sleep, infinity], ports: [{{name: http, containerPort: 8080}}]}}\n---\n\
                 apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  selector: {{app: {name}}}\n  ports: [{{port: 8080, targetPort: http}}]\n---\n"
            )
        };
        format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {shop}}}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {stock}}}\n---\n{}{}{}\
             apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: own-pods-only, namespace: {stock}}}\n\
             spec:\n  podSelector: {{}}\n  policyTypes: [Ingress]\n  ingress:\n  - from:\n    - podSelector: {{}}\n",
            pod(shop, "frontend"),
            pod(shop, "cart"),
            pod(stock, "db")
        )
    }

    fn kubectl(&self, args: &[&str], input: Option<&str>) -> Output {
        let mut child = Command::new("kubectl")
            .args(["--kubeconfig", &self.kubeconfig])
            .args(args)
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl is installed");
        if let (Some(mut stdin), Some(text)) = (child.stdin.take(), input) {
            stdin.write_all(text.as_bytes()).expect("kubectl reads");
        }
        child.wait_with_output().expect("kubectl ends")
    }

    fn apply(&self, manifests: &str) {
        let output = self.kubectl(&["apply", "-f", "-"], Some(manifests));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn netcheck(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_netcheck"))
            .args(["--kubeconfig", &self.kubeconfig, "-v"])
            .args(args)
            .env_remove("NETCHECK_CNI")
            .output()
            .expect("netcheck runs");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kubectl(&["delete", "namespace", "--wait=false", &self.shop, &self.stock], None);
    }
}

#[test]
fn a_real_cluster_answers_as_its_policies_say() {
    let Some(cluster) = Cluster::new() else { return };
    let db = format!("db.{}:8080", cluster.stock);
    for (target, code, said) in [("cart:8080", 0, "reachable"), (db.as_str(), 1, "own-pods-only")] {
        let (found, text) = cluster.netcheck(&["-n", &cluster.shop, "frontend", target]);
        assert_eq!(found, Some(code), "{target}: {text}");
        assert!(text.contains(said), "{target}: {text}");
        let requests = text.split("read with ").nth(1).and_then(|t| t.split(' ').next()?.parse::<usize>().ok());
        assert!(requests.is_some_and(|n| n <= 16), "{text}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_netcheck"))
        .args(["--kubeconfig", &cluster.kubeconfig, "snapshot", "-n", &cluster.stock])
        .output()
        .expect("netcheck runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("own-pods-only") && !text.contains("managedFields"), "{text}");
}
