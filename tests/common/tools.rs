//! Running the program, and the checkers that aren't ours.

use std::cell::{OnceCell, RefCell};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A run of `netcheck`; it runs when something of it is asked for.
pub struct Program {
    command: RefCell<Command>,
    line: String,
    input: Option<String>,
    output: OnceCell<Output>,
}

impl Program {
    /// With arguments, in a clean environment.
    pub fn netcheck(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netcheck"));
        command.args(args).env_remove("CLICOLOR_FORCE").env_remove("NETCHECK_CNI").env("NO_COLOR", "1");
        Self { command: RefCell::new(command), line: args.join(" "), input: None, output: OnceCell::new() }
    }

    /// In a directory.
    pub fn current_dir(self, dir: &Path) -> Self {
        self.command.borrow_mut().current_dir(dir);
        self
    }

    /// With text on standard input.
    pub fn stdin(mut self, text: &str) -> Self {
        self.input = Some(text.to_owned());
        self
    }

    fn run(&self) -> &Output {
        self.output.get_or_init(|| output(&mut self.command.borrow_mut(), self.input.as_deref()))
    }

    /// The exit code.
    pub fn code(&self) -> i32 {
        self.run().status.code().unwrap()
    }

    /// Standard output.
    pub fn stdout(&self) -> String {
        String::from_utf8(self.run().stdout.clone()).unwrap()
    }

    /// Standard error.
    pub fn stderr(&self) -> String {
        String::from_utf8(self.run().stderr.clone()).unwrap()
    }

    /// All of it as one text.
    pub fn shown(&self) -> String {
        format!("$ netcheck {}\n{}--- stderr\n{}--- exit {}\n", self.line, self.stdout(), self.stderr(), self.code())
    }
}

/// Runs a command with text on its standard input.
pub fn output(command: &mut Command, input: Option<&str>) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    if let Some(text) = input {
        // A program that ends early closes its end.
        let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    }
    child.wait_with_output().unwrap()
}

/// Whether a tool is there; a word on standard error where a test goes without.
pub fn present(command: &str, args: &[&str]) -> bool {
    let there = Command::new(command)
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !there {
        eprintln!("skipped: no {command} {}", args.join(" "));
    }
    there
}

/// Validates against a JSON schema with Python's `jsonschema`, where it is installed.
pub fn validate_json(document: &str, schema: &str) {
    if !present("python3", &["-c", "import jsonschema"]) {
        return;
    }
    let script = "import json, sys, jsonschema\n\
        data = json.load(sys.stdin)\n\
        jsonschema.validators.validator_for(data['schema'])(data['schema']).validate(data['document'])";
    let both = serde_json::json!({
        "schema": serde_json::from_str::<serde_json::Value>(schema).unwrap(),
        "document": serde_json::from_str::<serde_json::Value>(document).unwrap(),
    });
    let output = output(Command::new("python3").args(["-c", script]), Some(&both.to_string()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What SARIF 2.1.0 requires of a log (sections 3.13 to 3.30), and the official schema where `NETCHECK_SARIF_SCHEMA` names
/// a copy of it.
pub fn validate_sarif(log: &serde_json::Value) {
    assert_eq!(log["version"], "2.1.0");
    for run in log["runs"].as_array().expect("runs") {
        assert!(run["tool"]["driver"]["name"].is_string());
        let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
        for result in run["results"].as_array().expect("results") {
            assert!(result["message"]["text"].as_str().is_some_and(|t| !t.is_empty()));
            let index = result["ruleIndex"].as_u64().expect("ruleIndex") as usize;
            assert_eq!(rules[index]["id"], result["ruleId"]);
            assert!(["none", "note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
            let related = result["relatedLocations"].as_array().into_iter().flatten();
            for location in result["locations"].as_array().expect("locations").iter().chain(related) {
                let physical = &location["physicalLocation"];
                assert!(
                    physical["artifactLocation"]["uri"].as_str().is_some_and(|u| !u.is_empty() && !u.contains(' '))
                );
                let Some(region) = physical.get("region") else { continue };
                let number = |name: &str| region[name].as_u64().unwrap_or_else(|| panic!("{name} of {region}"));
                let (start, end) =
                    ((number("startLine"), number("startColumn")), (number("endLine"), number("endColumn")));
                assert!(start.0 >= 1 && start.1 >= 1 && start <= end, "{region}");
            }
        }
    }
    match std::env::var_os("NETCHECK_SARIF_SCHEMA") {
        Some(path) => validate_json(&log.to_string(), &std::fs::read_to_string(path).unwrap()),
        None => eprintln!("skipped: NETCHECK_SARIF_SCHEMA names no copy of the SARIF schema"),
    }
}
