//! The shapes: which namespaces, pods and policies each benchmark has (PERFORMANCE, B1 to B5).

use std::fmt::Write as _;
use std::io::{self, Write};

/// Names of the shapes.
pub const NAMES: [&str; 15] = [
    "boutique",
    "real",
    "redhat",
    "ladder-1k",
    "ladder-3k",
    "ladder-10k",
    "ladder-30k",
    "ladder-75k",
    "ladder-150k",
    "adversarial-per-pod",
    "adversarial-notin",
    "adversarial-random-10k",
    "adversarial-random-150k",
    "adversarial-cidr",
    "adversarial-cluster-policies",
];

const SEED: u64 = 42;

/// Writes a shape; false where there is none of the name.
pub fn write(name: &str, slim: bool, out: &mut dyn Write) -> io::Result<bool> {
    let known = NAMES.contains(&name);
    if !known {
        return Ok(false);
    }
    let mut list = List { out, first: true, random: SEED, slim, pods: 0 };
    list.out.write_all(b"{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[")?;
    match name {
        "boutique" => list.boutique()?,
        "real" => list.real()?,
        "redhat" => list.redhat()?,
        "ladder-1k" => list.ladder(10, 10, 10, 10)?,
        "ladder-3k" => list.ladder(30, 10, 10, 10)?,
        "ladder-10k" => list.ladder(100, 20, 5, 10)?,
        "ladder-30k" => list.ladder(200, 15, 10, 10)?,
        "ladder-75k" => list.ladder(500, 15, 10, 10)?,
        "ladder-150k" => list.ladder(1000, 15, 10, 10)?,
        "adversarial-per-pod" => list.per_pod(10_000)?,
        "adversarial-notin" => list.not_in(10_000)?,
        "adversarial-random-10k" => list.random_labels(10_000, 1_000)?,
        "adversarial-random-150k" => list.random_labels(150_000, 10_000)?,
        "adversarial-cidr" => list.cidrs(10_000)?,
        _ => list.cluster_policies()?,
    }
    list.out.write_all(b"\n]}\n")?;
    Ok(true)
}

struct List<'o> {
    out: &'o mut dyn Write,
    first: bool,
    random: u64,
    slim: bool,
    pods: u32,
}

/// What a pod is made of.
struct Pod<'p> {
    namespace: &'p str,
    name: &'p str,
    workload: &'p str,
    labels: &'p [(&'p str, &'p str)],
    ports: &'p [(&'p str, u16)],
}

impl List<'_> {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn item(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(if self.first { b"\n" } else { b",\n" })?;
        self.first = false;
        self.out.write_all(text.as_bytes())
    }

    fn namespace(&mut self, name: &str, labels: &[(&str, &str)]) -> io::Result<()> {
        let mut all = vec![("kubernetes.io/metadata.name", name)];
        all.extend_from_slice(labels);
        self.item(&format!(
            r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{name}","labels":{}}}}}"#,
            map(&all)
        ))
    }

    fn nodes(&mut self, count: u64) -> io::Result<()> {
        for node in 0..count {
            self.item(&format!(
                r#"{{"apiVersion":"v1","kind":"Node","metadata":{{"name":"node-{node}","labels":{{"kubernetes.io/hostname":"node-{node}","topology.kubernetes.io/zone":"zone-{}"}}}},"spec":{{"podCIDR":"10.{}.{}.0/24"}},"status":{{"addresses":[{{"type":"InternalIP","address":"172.20.{}.{}"}}]}}}}"#,
                node % 3,
                node / 256,
                node % 256,
                node / 256,
                node % 256
            ))?;
        }
        Ok(())
    }

    fn service(
        &mut self,
        namespace: &str,
        name: &str,
        selector: &[(&str, &str)],
        port: u16,
        target: &str,
    ) -> io::Result<()> {
        let ip = self.below(1 << 20);
        self.item(&format!(
            r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"name":"{name}","namespace":"{namespace}"}},"spec":{{"clusterIP":"10.{}.{}.{}","selector":{},"ports":[{{"name":"main","port":{port},"targetPort":{target},"protocol":"TCP"}}]}}}}"#,
            240 + (ip >> 16),
            ip >> 8 & 255,
            ip & 255,
            map(selector)
        ))
    }

    fn pod(&mut self, pod: &Pod<'_>) -> io::Result<()> {
        let index = self.pods;
        self.pods += 1;
        let ip = format!("10.{}.{}.{}", index >> 16, index >> 8 & 255, index & 255);
        let node = index / 30 % 5000;
        let mut ports = String::new();
        for (name, number) in pod.ports {
            let comma = if ports.is_empty() { "" } else { "," };
            let _ = write!(ports, r#"{comma}{{"name":"{name}","containerPort":{number},"protocol":"TCP"}}"#);
        }
        let (managed, spec, status) = if self.slim { ("", String::new(), String::new()) } else { filler(index) };
        self.item(&format!(
            r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{}","namespace":"{}","labels":{},"ownerReferences":[{{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"{}-7d9f8b6c5","controller":true,"uid":"00000000-0000-4000-8000-{:012x}"}}]{managed}}},"spec":{{"nodeName":"node-{node}","serviceAccountName":"default","containers":[{{"name":"main","image":"registry.example/{}:1.0","ports":[{ports}]{spec}}}]}},"status":{{"phase":"Running","podIP":"{ip}","podIPs":[{{"ip":"{ip}"}}],"conditions":[{{"type":"Ready","status":"True"}}]{status}}}}}"#,
            pod.name,
            pod.namespace,
            map(pod.labels),
            pod.workload,
            index,
            pod.workload
        ))
    }

    fn policy(&mut self, namespace: &str, name: &str, spec: &str) -> io::Result<()> {
        self.item(&format!(
            r#"{{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{{"name":"{name}","namespace":"{namespace}"}},"spec":{spec}}}"#
        ))
    }

    /// DNS, as kubeadm installs it, and a monitoring namespace.
    fn system(&mut self) -> io::Result<()> {
        self.namespace("kube-system", &[])?;
        self.namespace("monitoring", &[("team", "platform")])?;
        for replica in 0..2 {
            self.pod(&Pod {
                namespace: "kube-system",
                name: &format!("coredns-7d9f8b6c5-{replica}"),
                workload: "coredns",
                labels: &[("k8s-app", "kube-dns"), ("pod-template-hash", "7d9f8b6c5")],
                ports: &[("dns-tcp", 53), ("metrics", 9153)],
            })?;
            self.pod(&Pod {
                namespace: "monitoring",
                name: &format!("prometheus-7d9f8b6c5-{replica}"),
                workload: "prometheus",
                labels: &[("app", "prometheus"), ("pod-template-hash", "7d9f8b6c5")],
                ports: &[("http", 9090)],
            })?;
        }
        self.item(
            r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"kube-dns","namespace":"kube-system","labels":{"k8s-app":"kube-dns"}},"spec":{"clusterIP":"10.255.0.10","selector":{"k8s-app":"kube-dns"},"ports":[{"name":"dns","port":53,"protocol":"UDP"},{"name":"dns-tcp","port":53,"protocol":"TCP"}]}}"#,
        )
    }

    /// B1: a well-known demo shop: default deny, and an allow for each edge.
    fn boutique(&mut self) -> io::Result<()> {
        const SERVICES: [(&str, u16, &[&str]); 12] = [
            ("frontend", 8080, &["ad", "cart", "checkout", "currency", "productcatalog", "recommendation", "shipping"]),
            ("cart", 7070, &["redis-cart"]),
            ("productcatalog", 3550, &[]),
            ("currency", 7000, &[]),
            ("payment", 50051, &[]),
            ("shipping", 50051, &[]),
            ("email", 8080, &[]),
            ("checkout", 5050, &["cart", "currency", "email", "payment", "productcatalog", "shipping"]),
            ("recommendation", 8080, &["productcatalog"]),
            ("ad", 9555, &[]),
            ("redis-cart", 6379, &[]),
            ("loadgenerator", 8089, &["frontend"]),
        ];
        self.namespace("boutique", &[])?;
        for (name, port, _) in SERVICES {
            self.item(&format!(
                r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"{name}","namespace":"boutique"}},"spec":{{"replicas":1,"selector":{{"matchLabels":{{"app":"{name}"}}}},"template":{{"metadata":{{"labels":{{"app":"{name}"}}}},"spec":{{"containers":[{{"name":"server","image":"registry.example/{name}:1.0","ports":[{{"name":"main","containerPort":{port}}}]}}]}}}}}}}}"#
            ))?;
            if name != "loadgenerator" {
                self.service("boutique", name, &[("app", name)], port, &port.to_string())?;
            }
        }
        self.policy("boutique", "default-deny", r#"{"podSelector":{},"policyTypes":["Ingress","Egress"]}"#)?;
        self.policy(
            "boutique",
            "dns",
            r#"{"podSelector":{},"policyTypes":["Egress"],"egress":[{"to":[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"kube-system"}},"podSelector":{"matchLabels":{"k8s-app":"kube-dns"}}}],"ports":[{"port":53,"protocol":"UDP"},{"port":53,"protocol":"TCP"}]}]}"#,
        )?;
        for (name, port, calls) in SERVICES {
            let callers: Vec<String> = SERVICES
                .iter()
                .filter(|(_, _, calls)| calls.contains(&name))
                .map(|(caller, ..)| format!(r#"{{"podSelector":{{"matchLabels":{{"app":"{caller}"}}}}}}"#))
                .collect();
            let called: Vec<String> = calls
                .iter()
                .filter_map(|to| SERVICES.iter().find(|(service, ..)| service == to))
                .map(|(to, port, _)| {
                    format!(
                        r#"{{"to":[{{"podSelector":{{"matchLabels":{{"app":"{to}"}}}}}}],"ports":[{{"port":{port},"protocol":"TCP"}}]}}"#
                    )
                })
                .collect();
            let ingress = match (name, callers.as_slice()) {
                ("frontend", _) => r#"[{"ports":[{"port":8080,"protocol":"TCP"}]}]"#.to_owned(),
                (_, []) => "[]".to_owned(),
                _ => format!(r#"[{{"from":[{}],"ports":[{{"port":{port},"protocol":"TCP"}}]}}]"#, callers.join(",")),
            };
            self.policy(
                "boutique",
                name,
                &format!(
                    r#"{{"podSelector":{{"matchLabels":{{"app":"{name}"}}}},"policyTypes":["Ingress","Egress"],"ingress":{ingress},"egress":[{}]}}"#,
                    called.join(",")
                ),
            )?;
        }
        Ok(())
    }

    /// B2: the published profile of a production cluster: 604 namespaces, 5,413 pods, 13,678 policies; in the median a policy
    /// selects 6 local pods and 2 peer pods, with 1 range and 1 port; the largest peer is 3,578 pods.
    fn real(&mut self) -> io::Result<()> {
        const NAMESPACES: u64 = 604;
        const PODS: u64 = 5413;
        const POLICIES: u64 = 13_678;
        self.nodes(180)?;
        let mut sizes = vec![2u64; NAMESPACES as usize];
        for _ in 0..PODS - 2 * NAMESPACES {
            // The square makes some namespaces much larger than others.
            let at = self.below(NAMESPACES) * self.below(NAMESPACES) / NAMESPACES;
            sizes[at as usize] += 1;
        }
        let mut labelled = 0;
        for (index, size) in sizes.iter().enumerate() {
            let namespace = format!("ns-{index}");
            self.namespace(&namespace, &[("team", &format!("team-{}", index % 40))])?;
            for pod in 0..*size {
                let (app, role) = (format!("app-{}", pod / 6), format!("role-{}", pod / 2));
                let mut labels = vec![("app", app.as_str()), ("role", role.as_str())];
                labelled += 1;
                if labelled <= 3578 {
                    labels.push(("mesh", "on"));
                }
                self.pod(&Pod {
                    namespace: &namespace,
                    name: &format!("{app}-7d9f8b6c5-{pod}"),
                    workload: &app,
                    labels: &labels,
                    ports: &[("http", 8080)],
                })?;
            }
        }
        for policy in 0..POLICIES {
            let at = self.below(NAMESPACES);
            let size = sizes[at as usize];
            let subject = match self.below(4) {
                0 => r#"{"podSelector":{}"#.to_owned(),
                _ => format!(r#"{{"podSelector":{{"matchLabels":{{"app":"app-{}"}}}}"#, self.below(size.div_ceil(6))),
            };
            let peer = if self.below(200) == 0 {
                r#"{"namespaceSelector":{},"podSelector":{"matchLabels":{"mesh":"on"}}}"#.to_owned()
            } else {
                let other = self.below(NAMESPACES);
                let role = self.below(sizes[other as usize].div_ceil(2));
                format!(
                    r#"{{"namespaceSelector":{{"matchLabels":{{"kubernetes.io/metadata.name":"ns-{other}"}}}},"podSelector":{{"matchLabels":{{"role":"role-{role}"}}}}}}"#
                )
            };
            let (a, b) = (self.below(200), self.below(256));
            let block = format!(r#"{{"ipBlock":{{"cidr":"{}.{b}.0.0/16"}}}}"#, 20 + a);
            let port = 8000 + self.below(100);
            let (direction, field, side) =
                if self.below(2) == 0 { ("Ingress", "ingress", "from") } else { ("Egress", "egress", "to") };
            self.policy(
                &format!("ns-{at}"),
                &format!("policy-{policy}"),
                &format!(
                    r#"{subject},"policyTypes":["{direction}"],"{field}":[{{"{side}":[{peer},{block}],"ports":[{{"port":{port},"protocol":"TCP"}}]}}]}}"#
                ),
            )?;
        }
        Ok(())
    }

    /// B3: 240 namespaces × 10 pods × 20 policies, each with 5 ports, 5 ranges of ports, 5 namespaces, 5 pods, 5 CIDRs.
    fn redhat(&mut self) -> io::Result<()> {
        self.nodes(80)?;
        for index in 0..240 {
            let namespace = format!("ns-{index}");
            self.namespace(&namespace, &[("group", &format!("g-{}", index % 48))])?;
            for pod in 0..10 {
                let app = format!("app-{pod}");
                self.pod(&Pod {
                    namespace: &namespace,
                    name: &format!("{app}-7d9f8b6c5-0"),
                    workload: &app,
                    labels: &[("app", &app), ("num", &pod.to_string())],
                    ports: &[("http", 8080)],
                })?;
            }
        }
        for index in 0..240 {
            for policy in 0..20 {
                let mut ports: Vec<String> = (0..5)
                    .map(|i| format!(r#"{{"port":{},"protocol":"TCP"}}"#, 1000 + 100 * i + self.below(50)))
                    .collect();
                for i in 0..5 {
                    let first = 20_000 + 2_000 * i + self.below(500);
                    ports.push(format!(
                        r#"{{"port":{first},"endPort":{},"protocol":"TCP"}}"#,
                        first + 1 + self.below(500)
                    ));
                }
                let mut peers: Vec<String> = Vec::new();
                for _ in 0..5 {
                    peers.push(format!(
                        r#"{{"namespaceSelector":{{"matchLabels":{{"kubernetes.io/metadata.name":"ns-{}"}}}}}}"#,
                        self.below(240)
                    ));
                    peers.push(format!(r#"{{"podSelector":{{"matchLabels":{{"app":"app-{}"}}}}}}"#, self.below(10)));
                    let (a, b) = (self.below(200), self.below(256));
                    peers.push(format!(r#"{{"ipBlock":{{"cidr":"{}.{b}.{}.0/24"}}}}"#, 20 + a, self.below(256)));
                }
                let (direction, field, side) =
                    if policy % 2 == 0 { ("Ingress", "ingress", "from") } else { ("Egress", "egress", "to") };
                let (ports, peers) = (ports.join(","), peers.join(","));
                self.policy(
                    &format!("ns-{index}"),
                    &format!("policy-{policy}"),
                    &format!(
                        r#"{{"podSelector":{{"matchLabels":{{"num":"{}"}}}},"policyTypes":["{direction}"],"{field}":[{{"{side}":[{peers}],"ports":[{ports}]}}]}}"#,
                        policy % 10
                    ),
                )?;
            }
        }
        Ok(())
    }

    /// B4: default deny, DNS, monitoring, the internet without private ranges, a team selector, and service to service.
    fn ladder(&mut self, namespaces: u64, workloads: u64, replicas: u64, policies: u64) -> io::Result<()> {
        self.nodes((namespaces * workloads * replicas).div_ceil(30).min(5000))?;
        self.system()?;
        for index in 0..namespaces {
            let namespace = format!("ns-{index}");
            let team = format!("team-{}", index % 25);
            self.namespace(
                &namespace,
                &[("team", &team), ("env", if index % 5 == 0 { "staging" } else { "production" })],
            )?;
            for workload in 0..workloads {
                let app = format!("app-{workload}");
                let tier = ["front", "back", "data"][(workload % 3) as usize];
                let labels: &[(&str, &str)] = &[
                    ("app", &app),
                    ("tier", tier),
                    ("team", &team),
                    ("app.kubernetes.io/managed-by", "Helm"),
                    ("pod-template-hash", "7d9f8b6c5"),
                ];
                self.service(&namespace, &app, &[("app", &app)], 80, "\"http\"")?;
                for replica in 0..replicas {
                    self.pod(&Pod {
                        namespace: &namespace,
                        name: &format!("{app}-7d9f8b6c5-{replica}"),
                        workload: &app,
                        labels,
                        ports: &[("http", 8080), ("metrics", 9090)],
                    })?;
                }
            }
            for policy in 0..policies {
                let spec = match policy {
                    0 => r#"{"podSelector":{},"policyTypes":["Ingress","Egress"]}"#.to_owned(),
                    1 => r#"{"podSelector":{},"policyTypes":["Egress"],"egress":[{"to":[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"kube-system"}},"podSelector":{"matchLabels":{"k8s-app":"kube-dns"}}}],"ports":[{"port":53,"protocol":"UDP"},{"port":53,"protocol":"TCP"}]}]}"#.to_owned(),
                    2 => r#"{"podSelector":{},"policyTypes":["Ingress"],"ingress":[{"from":[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"monitoring"}}}],"ports":[{"port":"metrics","protocol":"TCP"}]}]}"#.to_owned(),
                    3 => r#"{"podSelector":{"matchLabels":{"tier":"back"}},"policyTypes":["Egress"],"egress":[{"to":[{"ipBlock":{"cidr":"0.0.0.0/0","except":["10.0.0.0/8","172.16.0.0/12","192.168.0.0/16"]}}],"ports":[{"port":443,"protocol":"TCP"}]}]}"#.to_owned(),
                    4 => format!(
                        r#"{{"podSelector":{{"matchLabels":{{"tier":"front"}}}},"policyTypes":["Ingress"],"ingress":[{{"from":[{{"namespaceSelector":{{"matchLabels":{{"team":"{team}"}},"matchExpressions":[{{"key":"env","operator":"NotIn","values":["staging"]}}]}}}}],"ports":[{{"port":8080,"protocol":"TCP"}}]}}]}}"#
                    ),
                    _ => {
                        let from = self.below(workloads);
                        let to = self.below(workloads);
                        let (subject, direction, field, side, peer) = if policy % 2 == 1 {
                            (to, "Ingress", "ingress", "from", from)
                        } else {
                            (from, "Egress", "egress", "to", to)
                        };
                        format!(
                            r#"{{"podSelector":{{"matchLabels":{{"app":"app-{subject}"}}}},"policyTypes":["{direction}"],"{field}":[{{"{side}":[{{"podSelector":{{"matchLabels":{{"app":"app-{peer}"}}}}}}],"ports":[{{"port":8080,"protocol":"TCP"}}]}}]}}"#
                        )
                    }
                };
                self.policy(&namespace, &format!("policy-{policy}"), &spec)?;
            }
        }
        Ok(())
    }

    /// B5: as many policies as pods, each for one pod and with one peer in each direction.
    fn per_pod(&mut self, pods: u64) -> io::Result<()> {
        self.numbered_pods(pods)?;
        for pod in 0..pods {
            let (from, to) = (self.below(pods), self.below(pods));
            self.policy(
                &format!("ns-{}", pod % 10),
                &format!("policy-{pod}"),
                &format!(
                    r#"{{"podSelector":{{"matchLabels":{{"id":"{pod}"}}}},"policyTypes":["Ingress","Egress"],"ingress":[{{"from":[{{"namespaceSelector":{{}},"podSelector":{{"matchLabels":{{"id":"{from}"}}}}}}]}}],"egress":[{{"to":[{{"namespaceSelector":{{}},"podSelector":{{"matchLabels":{{"id":"{to}"}}}}}}]}}]}}"#
                ),
            )?;
        }
        Ok(())
    }

    fn numbered_pods(&mut self, pods: u64) -> io::Result<()> {
        self.nodes(pods.div_ceil(30).min(5000))?;
        for namespace in 0..10 {
            self.namespace(&format!("ns-{namespace}"), &[])?;
        }
        for pod in 0..pods {
            self.pod(&Pod {
                namespace: &format!("ns-{}", pod % 10),
                name: &format!("pod-{pod}"),
                workload: &format!("app-{}", pod / 10),
                labels: &[("id", &pod.to_string()), ("bucket", &format!("b-{}", pod % 100))],
                ports: &[],
            })?;
        }
        Ok(())
    }

    /// B5: every policy leaves out one value: all sets hold nearly everything.
    fn not_in(&mut self, pods: u64) -> io::Result<()> {
        self.numbered_pods(pods)?;
        for policy in 0..pods {
            let (subject, peer, bucket) = (self.below(pods), self.below(pods), self.below(100));
            let (direction, field, side) =
                if policy % 2 == 0 { ("Ingress", "ingress", "from") } else { ("Egress", "egress", "to") };
            self.policy(
                &format!("ns-{}", policy % 10),
                &format!("policy-{policy}"),
                &format!(
                    r#"{{"podSelector":{{"matchExpressions":[{{"key":"id","operator":"NotIn","values":["{subject}"]}},{{"key":"bucket","operator":"In","values":["b-{bucket}"]}}]}},"policyTypes":["{direction}"],"{field}":[{{"{side}":[{{"namespaceSelector":{{}},"podSelector":{{"matchExpressions":[{{"key":"id","operator":"NotIn","values":["{peer}"]}}]}}}}]}}]}}"#
                ),
            )?;
        }
        Ok(())
    }

    /// B5: seven keys of four values, at random: up to 65,536 classes in four namespaces.
    fn random_labels(&mut self, pods: u64, policies: u64) -> io::Result<()> {
        const VALUES: [&str; 4] = ["a", "b", "c", "d"];
        const KEYS: [&str; 7] = ["k0", "k1", "k2", "k3", "k4", "k5", "k6"];
        self.nodes(pods.div_ceil(30).min(5000))?;
        for namespace in 0..4 {
            self.namespace(&format!("ns-{namespace}"), &[("group", ["x", "y"][namespace % 2])])?;
        }
        for pod in 0..pods {
            let bits = self.next();
            let labels: Vec<(&str, &str)> =
                KEYS.iter().enumerate().map(|(at, key)| (*key, VALUES[(bits >> (2 * at) & 3) as usize])).collect();
            self.pod(&Pod {
                namespace: &format!("ns-{}", pod % 4),
                name: &format!("pod-{pod}"),
                workload: &format!("app-{}", pod / 10),
                labels: &labels,
                ports: &[],
            })?;
        }
        let selector = |list: &mut Self, requirements: u64| {
            let mut out: Vec<String> = Vec::new();
            let from = list.below(7);
            for at in 0..requirements {
                let value = VALUES[list.below(4) as usize];
                let key = KEYS[((from + at) % 7) as usize];
                out.push(format!(r#""{key}":"{value}""#));
            }
            format!(r#"{{"matchLabels":{{{}}}}}"#, out.join(","))
        };
        for policy in 0..policies {
            let subject = 2 + self.below(3);
            let subject = selector(self, subject);
            let requirements = 3 + self.below(3);
            let peer = selector(self, requirements);
            let group = ["x", "y"][self.below(2) as usize];
            let (direction, field, side) =
                if policy % 2 == 0 { ("Ingress", "ingress", "from") } else { ("Egress", "egress", "to") };
            let port = 8000 + self.below(4);
            self.policy(
                &format!("ns-{}", policy % 4),
                &format!("policy-{policy}"),
                &format!(
                    r#"{{"podSelector":{subject},"policyTypes":["{direction}"],"{field}":[{{"{side}":[{{"namespaceSelector":{{"matchLabels":{{"group":"{group}"}}}},"podSelector":{peer}}}],"ports":[{{"port":{port},"protocol":"TCP"}}]}}]}}"#
                ),
            )?;
        }
        Ok(())
    }

    /// B5: ranges with holes and random ranges of ports.
    fn cidrs(&mut self, blocks: u64) -> io::Result<()> {
        self.nodes(40)?;
        for index in 0..100 {
            let namespace = format!("ns-{index}");
            self.namespace(&namespace, &[])?;
            for pod in 0..10 {
                let app = format!("app-{pod}");
                self.pod(&Pod {
                    namespace: &namespace,
                    name: &format!("{app}-7d9f8b6c5-0"),
                    workload: &app,
                    labels: &[("app", &app)],
                    ports: &[],
                })?;
            }
            for policy in 0..10 {
                let mut rules = Vec::new();
                for _ in 0..blocks / 1000 {
                    let (ip, length) = (self.next() as u32, 8 + self.below(16) as u32);
                    let mask = u32::MAX << (32 - length);
                    let (net, hole) = (ip & mask, ip & (u32::MAX << (32 - length - 4)));
                    let first = 1 + self.below(60_000);
                    let last = first + self.below(5_000);
                    let text = |n: u32| std::net::Ipv4Addr::from(n).to_string();
                    rules.push(format!(
                        r#"{{"to":[{{"ipBlock":{{"cidr":"{}/{length}","except":["{}/{}"]}}}}],"ports":[{{"port":{first},"endPort":{last},"protocol":"TCP"}}]}}"#,
                        text(net),
                        text(hole),
                        length + 4
                    ));
                }
                self.policy(
                    &namespace,
                    &format!("policy-{policy}"),
                    &format!(
                        r#"{{"podSelector":{{"matchLabels":{{"app":"app-{policy}"}}}},"policyTypes":["Egress"],"egress":[{}]}}"#,
                        rules.join(",")
                    ),
                )?;
            }
        }
        Ok(())
    }

    /// B5: 10,000 rules of cluster-wide policies with Pass, over 10,000 pods. The API server takes 25 rules a direction: 200
    /// policies of 50.
    fn cluster_policies(&mut self) -> io::Result<()> {
        self.nodes(334)?;
        for index in 0..100 {
            let namespace = format!("ns-{index}");
            self.namespace(&namespace, &[("group", &format!("g-{}", index % 20))])?;
            for pod in 0..100 {
                let (app, tier) = (format!("app-{}", pod / 5), format!("t-{}", pod % 4));
                self.pod(&Pod {
                    namespace: &namespace,
                    name: &format!("{app}-7d9f8b6c5-{pod}"),
                    workload: &app,
                    labels: &[("app", &app), ("tier", &tier)],
                    ports: &[("http", 8080)],
                })?;
            }
            self.policy(&namespace, "default-deny", r#"{"podSelector":{},"policyTypes":["Ingress"]}"#)?;
        }
        for policy in 0..200 {
            let subject = format!(
                r#"{{"pods":{{"namespaceSelector":{{"matchLabels":{{"group":"g-{}"}}}},"podSelector":{{}}}}}}"#,
                policy % 20
            );
            let mut directions = Vec::new();
            for side in ["from", "to"] {
                let mut rules = Vec::new();
                for _ in 0..25 {
                    let action = ["Accept", "Deny", "Pass"][self.below(3) as usize];
                    let port = 8000 + self.below(100);
                    rules.push(format!(
                        r#"{{"action":"{action}","{side}":[{{"pods":{{"namespaceSelector":{{"matchLabels":{{"group":"g-{}"}}}},"podSelector":{{"matchLabels":{{"app":"app-{}"}}}}}}}}],"protocols":[{{"tcp":{{"destinationPort":{{"number":{port}}}}}}}]}}"#,
                        self.below(20),
                        self.below(20)
                    ));
                }
                directions.push(rules.join(","));
            }
            let tier = if policy % 4 == 3 { "Baseline" } else { "Admin" };
            self.item(&format!(
                r#"{{"apiVersion":"policy.networking.k8s.io/v1alpha2","kind":"ClusterNetworkPolicy","metadata":{{"name":"policy-{policy}"}},"spec":{{"tier":"{tier}","priority":{policy},"subject":{subject},"ingress":[{}],"egress":[{}]}}}}"#,
                directions[0], directions[1]
            ))?;
        }
        Ok(())
    }
}

fn map(pairs: &[(&str, &str)]) -> String {
    let all: Vec<String> = pairs.iter().map(|(key, value)| format!(r#""{key}":"{value}""#)).collect();
    format!("{{{}}}", all.join(","))
}

/// What a pod of a live cluster carries that no check reads, so that it is 14.4 KB: managed fields, environment, volumes,
/// the status of its containers.
fn filler(index: u32) -> (&'static str, String, String) {
    use std::sync::OnceLock;
    static MANAGED: OnceLock<String> = OnceLock::new();
    static SPEC: OnceLock<String> = OnceLock::new();
    static STATUS: OnceLock<String> = OnceLock::new();
    let managed = MANAGED.get_or_init(|| {
        let fields: Vec<String> = (0..81)
            .map(|i| format!(r#""k:{{\"name\":\"SETTING_{i:02}\"}}":{{".":{{}},"f:name":{{}},"f:value":{{}}}}"#))
            .collect();
        format!(
            r#","annotations":{{"checksum/config":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}},"creationTimestamp":"2026-01-01T00:00:00Z","resourceVersion":"123456789","managedFields":[{{"manager":"kube-controller-manager","operation":"Update","apiVersion":"v1","time":"2026-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":{{"f:spec":{{"f:containers":{{"k:{{\"name\":\"main\"}}":{{"f:env":{{{}}}}}}}}}}}}}]"#,
            fields.join(",")
        )
    });
    let spec = SPEC.get_or_init(|| {
        let env: Vec<String> = (0..81)
            .map(|i| format!(r#"{{"name":"SETTING_{i:02}","value":"value of setting number {i:02}, as long as usual"}}"#))
            .collect();
        format!(
            r#","env":[{}],"resources":{{"limits":{{"cpu":"500m","memory":"512Mi"}},"requests":{{"cpu":"100m","memory":"128Mi"}}}},"volumeMounts":[{{"name":"token","mountPath":"/var/run/secrets/kubernetes.io/serviceaccount","readOnly":true}}]"#,
            env.join(",")
        )
    });
    let status = STATUS.get_or_init(|| {
        let statuses: Vec<String> = (0..4)
            .map(|i| {
                format!(
                    r#"{{"name":"main-{i}","ready":true,"restartCount":0,"image":"registry.example/app:1.0","imageID":"registry.example/app@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","containerID":"containerd://9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","started":true,"state":{{"running":{{"startedAt":"2026-01-01T00:00:00Z"}}}}}}"#
                )
            })
            .collect();
        format!(r#","qosClass":"Burstable","startTime":"2026-01-01T00:00:00Z","containerStatuses":[{}]"#, statuses.join(","))
    });
    (managed, spec.clone(), format!(r#"{status},"hostIP":"172.20.{}.{}""#, index / 30 / 256 % 256, index / 30 % 256))
}
