//! Cases of `why`: a dump, logs and the known answer, recorded (`real/crash` of the shared cases) or of this project
//! (`fixtures/why`).

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A case with what is known of it.
pub struct Case {
    /// Name of its directory.
    pub name: String,
    /// Directory.
    pub directory: PathBuf,
    /// `answer.yaml`.
    pub answer: Value,
}

impl Case {
    /// The recorded ones; none where they aren't there.
    pub fn recorded() -> Vec<Self> {
        super::shared("real/crash").map(|root| Self::of(&root)).unwrap_or_default()
    }

    /// Those of this project: other languages, drivers and shapes of policies.
    pub fn own() -> Vec<Self> {
        let all = Self::of(Path::new("fixtures/why"));
        assert!(all.len() >= 25);
        all
    }

    /// All of them.
    pub fn all() -> Vec<Self> {
        Self::recorded().into_iter().chain(Self::own()).collect()
    }

    /// One of this project by its name.
    pub fn named(name: &str) -> Self {
        Self::own().into_iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no case {name}"))
    }

    fn of(root: &Path) -> Vec<Self> {
        let mut out: Vec<Self> = super::folders(root)
            .into_iter()
            .filter(|path| path.join("answer.yaml").is_file())
            .map(|directory| Self {
                name: directory.file_name().unwrap().to_string_lossy().into_owned(),
                answer: serde_saphyr::from_str(&std::fs::read_to_string(directory.join("answer.yaml")).unwrap())
                    .unwrap(),
                directory,
            })
            .collect();
        out.sort_by(|a, b| a.name.cmp(&b.name));
        out
    }

    /// A field of the answer; empty where there is none.
    pub fn field(&self, name: &str) -> &str {
        self.answer[name].as_str().unwrap_or_default()
    }

    /// The file of its objects.
    pub fn dump(&self) -> PathBuf {
        let yaml = self.directory.join("cluster.yaml");
        if yaml.is_file() { yaml } else { self.directory.join("cluster.json") }
    }

    /// Its objects.
    pub fn items(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dump()).unwrap();
        let dump: Value = match self.dump().extension().is_some_and(|e| e == "json") {
            true => serde_json::from_str(&text).unwrap(),
            false => serde_saphyr::from_str(&text).unwrap(),
        };
        dump["items"].as_array().unwrap().clone()
    }
}
