//! Where things stand in a picture: a box for each namespace, workloads in layers along their connections, boxes on shelves.
//! The same graph always gets the same picture, in time that grows with nodes and links.

use super::drawing::Drawing;

/// Width of a node.
pub(super) const WIDTH: f64 = 168.0;
/// Height of a node.
pub(super) const HEIGHT: f64 = 30.0;
const GAP_X: f64 = 92.0;
const GAP_Y: f64 = 22.0;
const PADDING: f64 = 22.0;
const HEAD: f64 = 26.0;
const BETWEEN: f64 = 84.0;

/// A rectangle.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) w: f64,
    pub(super) h: f64,
}

/// Places of a drawing's parts.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    /// Each group's box; without a size where it has no nodes.
    pub(super) groups: Vec<Rect>,
    /// Upper left corner of each node.
    pub(super) nodes: Vec<(f64, f64)>,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Lays a drawing out.
pub(super) fn layout(drawing: &Drawing) -> Layout {
    let layers = layers(drawing);
    let mut out = Layout {
        groups: vec![Rect::default(); drawing.groups.len()],
        nodes: vec![(0.0, 0.0); drawing.nodes.len()],
        ..Layout::default()
    };
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); drawing.groups.len()];
    for (index, node) in drawing.nodes.iter().enumerate() {
        members[node.group].push(index);
    }
    for (group, nodes) in members.iter().enumerate().filter(|(_, n)| !n.is_empty()) {
        let tallest = ((nodes.len() as f64).sqrt() * 1.6).ceil().max(4.0) as usize;
        let mut columns: Vec<Vec<usize>> = Vec::new();
        let mut sorted = nodes.clone();
        sorted.sort_by_key(|n| (layers[*n], *n));
        for layer in sorted.chunk_by(|a, b| layers[*a] == layers[*b]) {
            columns.extend(layer.chunks(tallest).map(<[usize]>::to_vec));
        }
        let rows = columns.iter().map(Vec::len).max().unwrap_or_default();
        let inner = rows as f64 * (HEIGHT + GAP_Y) - GAP_Y;
        for (at, column) in columns.iter().enumerate() {
            let own = column.len() as f64 * (HEIGHT + GAP_Y) - GAP_Y;
            for (row, node) in column.iter().enumerate() {
                let x = PADDING + at as f64 * (WIDTH + GAP_X);
                let y = PADDING + HEAD + (inner - own) / 2.0 + row as f64 * (HEIGHT + GAP_Y);
                out.nodes[*node] = (x, y);
            }
        }
        let w = 2.0 * PADDING + columns.len() as f64 * (WIDTH + GAP_X) - GAP_X;
        out.groups[group] = Rect { x: 0.0, y: 0.0, w, h: 2.0 * PADDING + HEAD + inner };
    }
    let order = order(drawing);
    shelve(&mut out, &order);
    for (place, node) in out.nodes.iter_mut().zip(&drawing.nodes) {
        place.0 += out.groups[node.group].x;
        place.1 += out.groups[node.group].y;
    }
    out
}

/// Boxes up to which they stand in the order of their connections; more of them are found by name.
const MOST_ORDERED: usize = 12;

/// The order of boxes: clients before servers, what is outside last.
fn order(drawing: &Drawing) -> Vec<usize> {
    let mut order: Vec<usize> = (0..drawing.groups.len()).collect();
    if order.len() <= MOST_ORDERED {
        let mut served = vec![0i64; drawing.groups.len()];
        for link in &drawing.links {
            served[drawing.nodes[link.to].group] += 1;
            served[drawing.nodes[link.from].group] -= 1;
        }
        order.sort_by_key(|g| (drawing.groups[*g].is_none(), served[*g], *g));
    }
    order
}

/// Boxes from left to right on shelves, so that the whole is about as wide as a screen.
fn shelve(out: &mut Layout, order: &[usize]) {
    let area: f64 = out.groups.iter().map(|g| (g.w + BETWEEN) * (g.h + BETWEEN)).sum();
    let widest = out.groups.iter().map(|g| g.w).fold(0.0, f64::max);
    let limit = (area * 1.7).sqrt().max(widest);
    let (mut x, mut y, mut shelf): (f64, f64, f64) = (BETWEEN / 2.0, BETWEEN / 2.0, 0.0);
    for at in order {
        let Some(group) = out.groups.get_mut(*at).filter(|g| g.w > 0.0) else { continue };
        if x > BETWEEN && x + group.w > limit + BETWEEN {
            x = BETWEEN / 2.0;
            y += shelf + BETWEEN;
            shelf = 0.0;
        }
        (group.x, group.y) = (x, y);
        x += group.w + BETWEEN;
        shelf = shelf.max(group.h);
        out.width = out.width.max(x - BETWEEN / 2.0);
    }
    out.height = y + shelf + BETWEEN / 2.0;
}

/// How many steps each node is from where connections of its group start; links that close a circle don't count.
fn layers(drawing: &Drawing) -> Vec<usize> {
    let n = drawing.nodes.len();
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); n];
    let mut entering = vec![0usize; n];
    for link in drawing.links.iter().filter(|l| l.from != l.to) {
        if drawing.nodes[link.from].group == drawing.nodes[link.to].group {
            next[link.from].push(link.to);
            entering[link.to] += 1;
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|v| (entering[*v], *v));
    // Depth first, without recursion: a chain may be as long as the cluster is large.
    let mut state = vec![0u8; n];
    let mut finished = Vec::with_capacity(n);
    for start in order {
        let mut stack = vec![(start, 0usize)];
        while let Some((v, at)) = stack.pop() {
            if at == 0 {
                if state[v] != 0 {
                    continue;
                }
                state[v] = 1;
            }
            match next[v].get(at) {
                Some(w) => {
                    stack.push((v, at + 1));
                    if state[*w] == 0 {
                        stack.push((*w, 0));
                    }
                }
                None => {
                    state[v] = 2;
                    finished.push(v);
                }
            }
        }
    }
    let mut rank = vec![0usize; n];
    for (at, v) in finished.iter().rev().enumerate() {
        rank[*v] = at;
    }
    let mut layer = vec![0usize; n];
    for v in finished.iter().rev() {
        for w in next[*v].iter().filter(|w| rank[**w] > rank[*v]) {
            layer[*w] = layer[*w].max(layer[*v] + 1);
        }
    }
    layer
}

#[cfg(test)]
mod tests {
    use super::super::drawing::{Link, Node, State};
    use super::*;

    fn drawing(nodes: usize, links: &[(usize, usize)]) -> Drawing {
        let node = |i: usize| Node { label: format!("n{i}"), group: i % 2, outside: false };
        let link =
            |(from, to): &(usize, usize)| Link { from: *from, to: *to, label: String::new(), state: State::Open };
        Drawing {
            groups: vec![Some("a".to_owned()), None],
            nodes: (0..nodes).map(node).collect(),
            links: links.iter().map(link).collect(),
        }
    }

    #[test]
    fn nodes_never_overlap_and_stay_in_their_box() {
        let circle: Vec<(usize, usize)> = (0..40).map(|i| (i, (i + 2) % 40)).collect();
        let drawing = drawing(40, &circle);
        let layout = layout(&drawing);
        for (i, a) in layout.nodes.iter().enumerate() {
            let g = layout.groups[drawing.nodes[i].group];
            assert!(a.0 >= g.x && a.0 + WIDTH <= g.x + g.w && a.1 >= g.y && a.1 + HEIGHT <= g.y + g.h, "{i}");
            for b in &layout.nodes[..i] {
                assert!((a.0 - b.0).abs() >= WIDTH || (a.1 - b.1).abs() >= HEIGHT, "{a:?} {b:?}");
            }
        }
        let [a, b] = [layout.groups[0], layout.groups[1]];
        assert!(a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y);
    }

    #[test]
    fn clients_stand_left_of_their_servers() {
        let layout = layout(&drawing(6, &[(0, 2), (2, 4)]));
        assert!(layout.nodes[0].0 < layout.nodes[2].0 && layout.nodes[2].0 < layout.nodes[4].0);
    }
}
