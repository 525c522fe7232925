//! Other tools that make the objects of tenants: helm, and Python with Jinja2 and PyYAML.
//!
//! Their templates are made from what Hydrant rendered for one tenant: its names become
//! expressions, everything else stands there as text. Then what they give for all tenants is
//! compared with what Hydrant gave.

use super::fleet;
use hydrant::yaml::{self, Limits, Schema};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// The tenant whose manifests the templates are made of, and its organization.
const MODEL: usize = 1;
/// The spec of a Pipeline, where it is to come from a tenant's values.
const SPEC: &str = "\nspec:\n";

/// A tool to compare with.
pub trait Peer {
    /// Returns its name.
    fn name(&self) -> String;
    /// Returns the command of one turn.
    fn command(&self, turn: usize) -> Command;
}

/// Objects by their environment, kind, namespace and name.
pub struct Objects {
    all: BTreeMap<String, Value>,
    /// The manifests of the model tenant, as text.
    model: Vec<String>,
}

impl Objects {
    /// Reads manifests, one a file.
    pub fn of<'p>(files: impl Iterator<Item = &'p PathBuf>) -> Self {
        let mut objects = Self { all: BTreeMap::new(), model: Vec::new() };
        let (name, _) = names(MODEL);
        for file in files {
            let text = fs::read_to_string(file).unwrap();
            let path = file.to_string_lossy();
            if path.contains(&format!("/{name}/")) || path.ends_with(&format!("/{name}.yaml")) {
                objects.model.push(text.clone());
            }
            objects.add(&text);
        }
        objects
    }

    fn add(&mut self, text: &str) {
        for node in yaml::read(text.as_bytes(), &Limits::manifests()).expect("YAML") {
            let value = node.to_value(Schema::Kubectl).expect("plain YAML");
            let word = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let id = format!(
                "{} {} {}/{}",
                word("/metadata/labels/hydrant.dev~1environment"),
                word("/kind"),
                word("/metadata/namespace"),
                word("/metadata/name"),
            );
            assert!(!value["kind"].is_null(), "no object: {text}");
            assert!(self.all.insert(id.clone(), value).is_none(), "{id} stands twice");
        }
    }

    /// Asserts that a text of many documents holds the same objects.
    fn assert_given_by(&self, who: &str, text: &str) {
        let mut theirs = Self { all: BTreeMap::new(), model: Vec::new() };
        // One by one: together they would be millions of nodes with their places.
        text.split("\n---\n").filter(|d| !d.trim().is_empty()).for_each(|document| theirs.add(document));
        for (id, value) in &self.all {
            assert_eq!(Some(value), theirs.all.get(id), "{who} gives another {id}");
        }
        assert_eq!(self.all.len(), theirs.all.len(), "{who} gives more than we do");
    }
}

/// Returns the names of a tenant and of its organization, as the generator of fleets gives them.
fn names(number: usize) -> (String, String) {
    (fleet::tenant_name(number), fleet::organization_name(number))
}

/// Returns the data of all tenants: names, and the spec of the Pipeline as the binding has it.
fn values(tenants: usize, pipeline: &Value) -> Value {
    let tenant = |number| {
        let (name, organization) = names(number);
        json!({"name": name, "organization": organization, "pipeline": pipeline})
    };
    (0..tenants).map(tenant).collect()
}

/// Returns a manifest of the model tenant with expressions for its names, and the spec of its
/// Pipeline taken out, if it is one.
fn template(manifest: &str, name: &str, organization: &str) -> (String, bool) {
    let (model, model_organization) = names(MODEL);
    assert!(!manifest.contains("{{"), "a manifest holds braces: {manifest}");
    let text = manifest.replace(&model, name).replace(&model_organization, organization);
    match text.split_once(SPEC) {
        Some((head, _)) if manifest.contains("\nkind: Pipeline\n") => (format!("{head}\n"), true),
        _ => (text, false),
    }
}

/// Returns the spec of the model tenant's Pipeline.
fn pipeline(ours: &Objects) -> Value {
    let (name, _) = names(MODEL);
    let found = ours.all.iter().find(|(id, _)| id.ends_with(&format!("Pipeline {name}/{name}")));
    found.expect("the model tenant has a Pipeline").1["spec"].clone()
}

/// Returns a program by a variable or from PATH.
fn program(variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(named) = env::var_os(variable) {
        return Some(named.into());
    }
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(name)).find(|path| path.is_file())
}

fn output(command: &mut Command) -> String {
    let out = command.stdin(Stdio::null()).output().expect("it starts");
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("text")
}

/// `helm template` with a chart of our making.
pub struct Helm {
    program: PathBuf,
    version: String,
    dir: PathBuf,
    writes: bool,
}

impl Helm {
    /// Makes a chart and compares what it gives.
    ///
    /// # Errors
    /// Why it cannot be run here.
    pub fn find(
        dir: &Path,
        ours: &Objects,
        tenants: usize,
        writes: bool,
    ) -> Result<Box<dyn Peer>, &'static str> {
        let program = program("HELM", "helm").ok_or("no helm (set HELM, or put it into PATH)")?;
        let version = output(Command::new(&program).args(["version", "--short"]));
        let helm = Self { program, version: version.trim().to_owned(), dir: dir.to_owned(), writes };
        if !writes {
            helm.write_chart(ours, tenants);
            let given = output(&mut helm.command(0));
            ours.assert_given_by("helm", given.strip_prefix("---\n").unwrap_or(&given));
        }
        Ok(Box::new(helm))
    }

    fn write_chart(&self, ours: &Objects, tenants: usize) {
        let chart = self.dir.join("chart");
        fs::create_dir_all(chart.join("templates")).unwrap();
        fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: tenants\nversion: 1.0.0\n").unwrap();
        let values = json!({"tenants": values(tenants, &pipeline(ours))});
        fs::write(chart.join("values.yaml"), yaml::write(&values)).unwrap();
        for (n, manifest) in ours.model.iter().enumerate() {
            let (mut text, takes_pipeline) = template(manifest, "{{ $t.name }}", "{{ $t.organization }}");
            if takes_pipeline {
                text.push_str("spec:\n{{ toYaml $t.pipeline | indent 2 }}\n");
            }
            let text = format!("{{{{- range $t := .Values.tenants }}}}\n---\n{text}{{{{- end }}}}\n");
            fs::write(chart.join("templates").join(format!("{n}.yaml")), text).unwrap();
        }
    }
}

impl Peer for Helm {
    fn name(&self) -> String {
        let how = if self.writes { " --output-dir" } else { "" };
        format!("helm {} template{how}", self.version)
    }

    fn command(&self, turn: usize) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("template").arg("bench").arg(self.dir.join("chart"));
        if self.writes {
            command.arg("--output-dir").arg(self.dir.join(format!("helm-{turn}")));
        }
        // Nothing of the user's, and no cluster.
        command.env("HOME", &self.dir).env("KUBECONFIG", "/dev/null");
        command
    }
}

/// Jinja2 for the text, PyYAML for the rest.
pub struct Python {
    program: PathBuf,
    dir: PathBuf,
}

/// The environment's label is merged in, as an overlay would; the Pipeline's spec is data.
const SCRIPT: &str = r#"
import json, sys
import jinja2, yaml
loader, dumper = yaml.CSafeLoader, yaml.CSafeDumper
with open(sys.argv[1]) as file:
    work = json.load(file)
engine = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
templates = [(engine.from_string(t["text"]), t["merge"], t["pipeline"]) for t in work["templates"]]
def merged(under, over):
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(under.get(key), dict):
            merged(under[key], value)
        else:
            under[key] = value
for tenant in work["tenants"]:
    for template, over, takes_pipeline in templates:
        document = yaml.load(template.render(t=tenant), Loader=loader)
        merged(document, over)
        if takes_pipeline:
            document["spec"] = tenant["pipeline"]
        sys.stdout.write("---\n" + yaml.dump(document, Dumper=dumper, default_flow_style=False))
"#;

impl Python {
    /// Writes a script and compares what it gives.
    ///
    /// # Errors
    /// Why it cannot be run here.
    pub fn find(dir: &Path, ours: &Objects, tenants: usize) -> Result<Box<dyn Peer>, &'static str> {
        if tenants > 1000 {
            return Err("Python above 1,000 tenants: it would take minutes");
        }
        let program =
            program("PYTHON", "python3").ok_or("no Python (set PYTHON, or put python3 into PATH)")?;
        let check = Command::new(&program).args(["-c", "import jinja2, yaml; yaml.CSafeLoader"]).output();
        if !check.is_ok_and(|out| out.status.success()) {
            return Err("no Jinja2 and PyYAML with the C loader for Python (pip install jinja2 pyyaml)");
        }
        let python = Self { program, dir: dir.to_owned() };
        let label = "hydrant.dev/environment";
        let mut templates = Vec::new();
        for manifest in &ours.model {
            let (text, takes_pipeline) = template(manifest, "{{ t.name }}", "{{ t.organization }}");
            let line = text.lines().find(|l| l.trim().starts_with(label)).expect("the overlay's label");
            let env = line.split(": ").nth(1).unwrap();
            let text = text.replacen(&format!("{line}\n"), "", 1);
            let merge = json!({"metadata": {"labels": {label: env}}});
            templates.push(json!({"text": text, "merge": merge, "pipeline": takes_pipeline}));
        }
        let work = json!({"templates": templates, "tenants": values(tenants, &pipeline(ours))});
        fs::write(python.dir.join("work.json"), work.to_string()).unwrap();
        let mut script = String::new();
        script.write_str(SCRIPT.trim_start()).unwrap();
        fs::write(python.dir.join("render.py"), script).unwrap();
        let given = output(&mut python.command(0));
        ours.assert_given_by("Python", given.strip_prefix("---\n").unwrap_or(&given));
        Ok(Box::new(python))
    }
}

impl Peer for Python {
    fn name(&self) -> String {
        "Python, Jinja2 and PyYAML (C)".to_owned()
    }

    fn command(&self, _: usize) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(self.dir.join("render.py")).arg(self.dir.join("work.json"));
        command
    }
}
