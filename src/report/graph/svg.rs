//! `-o svg`: a picture that needs no other program. Text is escaped; nothing in it runs or is fetched.

use super::GraphReport;
use super::drawing::{Drawing, Link, State};
use super::layout::{HEIGHT, Layout, WIDTH, layout};

/// Characters of a node's name that fit.
const FIT: usize = 22;

const STYLE: &str = "
  text { font: 12px system-ui, sans-serif; fill: #1d2733 }
  .head { font-weight: 600; fill: #46566a } .port { font-size: 10px; fill: #46566a; paint-order: stroke; stroke: #fff; stroke-width: 3px }
  .page { fill: #fff } .box { fill: #f6f8fa; stroke: #c3ccd6 } .end { fill: #e8f1fb; stroke: #4a78a8 } .out { fill: #f7f1e1; stroke: #a08a50 }
  path { fill: none; stroke: #5b7288; stroke-width: 1.3 } .partial { stroke-dasharray: 6 4 } .unknown { stroke: #b06a00; stroke-dasharray: 2 4 }
  #tip path { fill: #5b7288; stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #dbe4ee } .head, .port { fill: #9fb0c3 } .port { stroke: #12171d } .page { fill: #12171d } .box { fill: #1a212a; stroke: #36424f }
    .end { fill: #1d3147; stroke: #6fa3d8 } .out { fill: #38301c; stroke: #c2a65c } path { stroke: #8aa0b6 } #tip path { fill: #8aa0b6 }
  }
";

/// The graph as a picture.
pub fn svg(report: &GraphReport) -> String {
    let drawing = Drawing::of(report);
    let places = layout(&drawing);
    let (width, height) = (places.width.max(200.0), places.height.max(80.0));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" aria-label=\"who reaches whom\">\n<style>{STYLE}</style>\n<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7.5\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0 8 4 0 8z\"/></marker></defs>\n<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n"
    );
    for (rect, name) in places.groups.iter().zip(&drawing.groups).filter(|(r, _)| r.w > 0.0) {
        let Some(name) = name else { continue };
        out.push_str(&format!(
            "<rect class=\"box\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"8\"/><text class=\"head\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
            rect.x, rect.y, rect.w, rect.h, rect.x + 14.0, rect.y + 22.0, escaped(name)
        ));
    }
    for link in &drawing.links {
        out.push_str(&drawn(link, &places));
    }
    for (node, (x, y)) in drawing.nodes.iter().zip(&places.nodes) {
        let class = if node.outside { "out" } else { "end" };
        let (cx, cy) = (x + WIDTH / 2.0, y + HEIGHT / 2.0 + 4.0);
        let mut name: String = node.label.chars().take(FIT).collect();
        if node.label.chars().count() > FIT {
            name.push('…');
        }
        out.push_str(&format!(
            "<g><title>{}</title><rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\"/><text x=\"{cx:.1}\" y=\"{cy:.1}\" text-anchor=\"middle\">{}</text></g>\n",
            escaped(&node.label), escaped(&name)
        ));
    }
    out.push_str("</svg>\n");
    out
}

fn drawn(link: &Link, places: &Layout) -> String {
    let ((ax, ay), (bx, by)) = (places.nodes[link.from], places.nodes[link.to]);
    let class = match link.state {
        State::Open => "open",
        State::Partial => "partial",
        State::Unknown => "unknown",
    };
    let (ay, by) = (ay + HEIGHT / 2.0, by + HEIGHT / 2.0);
    // To the right from side to side; to the left, up and down around the nodes.
    let (path, tx, ty) = if link.from == link.to {
        let (x, y) = (ax + WIDTH - 20.0, ay - HEIGHT / 2.0);
        let path = format!("M{:.1} {y:.1}c0 -22 34 -22 34 12 0 6 -8 9 -14 9", x);
        (path, x + 22.0, y - 14.0)
    } else if bx > ax + WIDTH {
        let (x0, x1) = (ax + WIDTH, bx);
        let bend = ((x1 - x0) / 2.0).clamp(20.0, 160.0);
        let path = format!("M{x0:.1} {ay:.1}C{:.1} {ay:.1} {:.1} {by:.1} {x1:.1} {by:.1}", x0 + bend, x1 - bend);
        // A label stands where its line has left the others of its node.
        (path, x0 + (x1 - x0) * 0.64, ay + (by - ay) * 0.72 - 3.0)
    } else if bx + WIDTH < ax {
        let (x0, x1) = (ax, bx + WIDTH);
        let bend = ((x0 - x1) / 2.0).clamp(20.0, 160.0);
        let path = format!("M{x0:.1} {ay:.1}C{:.1} {ay:.1} {:.1} {by:.1} {x1:.1} {by:.1}", x0 - bend, x1 + bend);
        (path, x0 + (x1 - x0) * 0.64, ay + (by - ay) * 0.72 - 3.0)
    } else {
        let (x0, x1) = (ax + WIDTH, bx + WIDTH);
        let out = x0.max(x1) + 46.0;
        let path = format!("M{x0:.1} {ay:.1}C{out:.1} {ay:.1} {out:.1} {by:.1} {x1:.1} {by:.1}");
        (path, out - 12.0, (ay + by) / 2.0)
    };
    format!(
        "<path class=\"{class}\" d=\"{path}\" marker-end=\"url(#tip)\"/><text class=\"port\" x=\"{tx:.1}\" y=\"{ty:.1}\" text-anchor=\"middle\">{}</text>\n",
        escaped(&link.label)
    )
}

/// Text of an element or attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML has no other control characters.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
