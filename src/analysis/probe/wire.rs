//! What captures on the nodes and the plugin's flow log say of a burst, each in a sentence.
//!
//! Counts by device come in, and which ends of the connection live on the node. How they were taken is not known here.

/// Packets that a capture on a node saw, by device: its name, whether they came in over it, and how many.
pub type Passed = [(String, bool, usize)];

/// Which ends are on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct On {
    /// The client's pod.
    pub client: bool,
    /// The server's.
    pub server: bool,
}

/// Says what a capture on a node saw of packets towards the server.
pub fn seen(node: &str, on: On, there: &Passed, client: &str, server: &str) -> String {
    let count = |incoming: bool| there.iter().filter(|(_, i, _)| *i == incoming).map(|(.., count)| *count).max();
    let over = |incoming: bool| {
        let all: Vec<&str> =
            there.iter().filter(|(_, i, _)| *i == incoming).map(|(device, ..)| device.as_str()).collect();
        all.join(", ")
    };
    match (count(true), count(false)) {
        (None, None) if on.client => {
            format!(
                "node {node} saw none of them come from {client}: they never left the pod, or an eBPF data path passed them on unseen"
            )
        }
        (None, None) => format!(
            "node {node} saw none of them arrive: dropped before it, or inside a tunnel that this capture can't look into"
        ),
        (Some(came), None) => {
            format!("node {node} saw {came} come in over {} and none go out: dropped on that node", over(true))
        }
        (None, Some(went)) => format!("node {node} saw {went} go out over {}", over(false)),
        (Some(came), Some(went)) => {
            let to = if on.server { format!("towards {server}") } else { "and passed them on".to_owned() };
            format!("node {node} saw {came} come in over {} and {went} go out over {}, {to}", over(true), over(false))
        }
    }
}

/// Says what a flow log has of one kind of flow.
pub fn logged(node: &str, count: usize, verdict: &str, direction: &str, reason: &str, policies: &[String]) -> String {
    let at = match direction {
        "EGRESS" => " at the client's egress",
        "INGRESS" => " at the server's ingress",
        _ => "",
    };
    let why = if reason.is_empty() { String::new() } else { format!(", {reason}") };
    let by = if policies.is_empty() { String::new() } else { format!(", by {}", policies.join(", ")) };
    format!("the flow log of cilium on node {node} has {count} of them {verdict}{at}{why}{by}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_drops_and_one_that_passes_on() {
        let passed = |all: &[(&str, bool, usize)]| -> Vec<(String, bool, usize)> {
            all.iter().map(|(device, incoming, count)| ((*device).to_owned(), *incoming, *count)).collect()
        };
        let (client, server) = (On { client: true, server: false }, On { client: false, server: true });
        for (on, there, word) in [
            (client, passed(&[]), "never left the pod"),
            (server, passed(&[]), "none of them arrive"),
            (client, passed(&[("veth1", true, 20)]), "dropped on that node"),
            (client, passed(&[("veth1", true, 20), ("eth0", false, 20)]), "passed them on"),
            (server, passed(&[("eth0", true, 20), ("veth2", false, 19)]), "19 go out over veth2, towards b"),
        ] {
            let said = seen("n", on, &there, "a", "b");
            assert!(said.contains(word), "{said}");
        }
        assert_eq!(
            logged("n", 20, "DROPPED", "INGRESS", "POLICY_DENIED", &["CiliumNetworkPolicy shop/db".to_owned()]),
            "the flow log of cilium on node n has 20 of them DROPPED at the server's ingress, POLICY_DENIED, by CiliumNetworkPolicy shop/db"
        );
    }
}
