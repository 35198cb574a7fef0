//! The image that a probe's container runs, and what can be done with it.

use std::fmt;
use std::str::FromStr;

/// What an image can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageKind {
    /// It holds the probe agent.
    Agent,
    /// It holds a shell with tools such as `nc`, or `agnhost`.
    Tools,
    /// It is the image of the pod's own container, whatever that holds.
    Target,
}

/// An image as `--probe-image` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeImage {
    /// What it can do.
    pub kind: ImageKind,
    /// Its reference, a digest after `@` included; empty for the pod's own.
    pub reference: String,
}

/// This program's own image, which holds the agent.
const OWN: &str = concat!("ghcr.io/netcheck/netcheck:", env!("CARGO_PKG_VERSION"));

impl Default for ProbeImage {
    fn default() -> Self {
        Self { kind: ImageKind::Agent, reference: OWN.to_owned() }
    }
}

impl ProbeImage {
    /// An image of which nothing needs to be known.
    pub fn reference(text: &str) -> Result<String, String> {
        if is_reference(text) {
            return Ok(text.to_owned());
        }
        Err(format!("`{}` is not an image: write REPOSITORY:TAG or REPOSITORY@sha256:DIGEST", text.escape_debug()))
    }

    /// The image of the pod's own container.
    pub fn target() -> Self {
        Self { kind: ImageKind::Target, reference: String::new() }
    }
}

impl fmt::Display for ProbeImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ImageKind::Target => f.write_str("@target"),
            _ => f.write_str(&self.reference),
        }
    }
}

impl FromStr for ProbeImage {
    type Err = String;

    /// `@target`, a reference whose name says what it holds, or `agent=REFERENCE` and `tools=REFERENCE`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "@target" {
            return Ok(Self::target());
        }
        let (said, reference) = match text.split_once('=') {
            Some(("agent", reference)) => (Some(ImageKind::Agent), reference),
            Some(("tools", reference)) => (Some(ImageKind::Tools), reference),
            _ => (None, text),
        };
        let shown = || reference.escape_debug().to_string();
        if !is_reference(reference) {
            return Err(format!(
                "`{}` is not an image: write REPOSITORY:TAG or REPOSITORY@sha256:DIGEST, or @target for the pod's own",
                shown()
            ));
        }
        let kind = said.or_else(|| kind_of(reference)).ok_or_else(|| {
            format!(
                "what `{}` holds can't be told from its name: write agent={} for netcheck's agent, tools={} for a shell with nc, curl or python",
                shown(), shown(), shown()
            )
        })?;
        Ok(Self { kind, reference: reference.to_owned() })
    }
}

/// What images of well-known names hold.
fn kind_of(reference: &str) -> Option<ImageKind> {
    let path = reference.split('@').next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default().split(':').next().unwrap_or_default();
    match name {
        "netcheck" | "netcheck-agent" => Some(ImageKind::Agent),
        "agnhost" | "busybox" | "alpine" | "netshoot" | "toolbox" | "curl" | "debian" | "ubuntu" | "bash"
        | "python" => Some(ImageKind::Tools),
        _ => None,
    }
}

/// Whether a text can be an image's reference: what no shell or terminal takes for anything else.
fn is_reference(text: &str) -> bool {
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (text, None),
    };
    let plain = |t: &str| {
        t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/' | b':'))
            && t.starts_with(|c: char| c.is_ascii_alphanumeric())
    };
    let hex = |d: &str| {
        d.strip_prefix("sha256:")
            .is_some_and(|h| h.len() == 64 && h.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
    };
    text.len() <= 512 && plain(name) && !name.ends_with(['/', ':']) && digest.is_none_or(hex)
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// Where the node doesn't have it.
    #[default]
    IfNotPresent,
    /// In any case.
    Always,
    /// Not at all.
    Never,
}

impl PullPolicy {
    /// As the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::IfNotPresent => "IfNotPresent",
            Self::Always => "Always",
            Self::Never => "Never",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The image that is named without a word, the one that is built and the one that a release publishes are the same.
    #[test]
    fn the_own_image_is_the_one_that_is_published() {
        let read = |path: &str| {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let repository = env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://github.com/");
        assert_eq!(OWN, format!("ghcr.io/{repository}:{}", env!("CARGO_PKG_VERSION")));
        let release = read(".github/workflows/release.yml");
        assert!(release.contains("-t \"ghcr.io/${{ github.repository }}:${GITHUB_REF_NAME#v}\""), "the tag");
        assert!(release.contains("tags: [\"v*\"]") && release.contains("--target release"), "the build");
        let build = read("packaging/Dockerfile");
        let agent = super::super::container::AGENT;
        let stages: Vec<&str> = build.split("FROM scratch").skip(1).collect();
        assert_eq!(stages.len(), 2);
        for stage in stages {
            assert!(
                stage.contains(&format!("netcheck-agent {agent}\n")) && stage.contains("USER 65532:65532"),
                "{stage}"
            );
        }
    }

    #[test]
    fn images_are_recognised_by_their_names() {
        let digest = "sha256:".to_owned() + &"0123456789abcdef".repeat(4);
        for (text, kind) in [
            ("@target", ImageKind::Target),
            ("ghcr.io/netcheck/netcheck:0.1.0", ImageKind::Agent),
            ("registry.k8s.io/e2e-test-images/agnhost:2.47", ImageKind::Tools),
            ("busybox", ImageKind::Tools),
            ("localhost:5000/mirror/busybox:1.36", ImageKind::Tools),
            ("agent=registry.example/x/y:1", ImageKind::Agent),
            (&format!("tools=registry.example/x@{digest}"), ImageKind::Tools),
            (&format!("registry.k8s.io/e2e-test-images/agnhost:2.47@{digest}"), ImageKind::Tools),
        ] {
            assert_eq!(text.parse::<ProbeImage>().map(|i| i.kind), Ok(kind), "{text}");
        }
        for (text, why) in [
            ("registry.example/app:1", "agent=registry.example/app:1"),
            ("", "not an image"),
            ("busybox@sha256:12", "not an image"),
            ("busy box", "not an image"),
            ("agent=\u{1b}[2J", "not an image"),
        ] {
            let error = text.parse::<ProbeImage>().expect_err(text);
            assert!(error.contains(why) && !error.contains('\u{1b}'), "{text}: {error}");
        }
    }
}
