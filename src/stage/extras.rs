//! What a component's argocd.yaml adds to its Application: what depends on values and
//! therefore cannot stand in component.yaml.

use crate::error::{Origin, Violation, Violations};
use crate::template::{Context, Template};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What an argocd.yaml gives; all of it may be left out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Extras {
    /// Annotations besides our own.
    annotations: BTreeMap<String, String>,
    /// Fields that are not compared, besides those of component.yaml.
    ignore_differences: Vec<Value>,
    /// Whether Argo CD deletes what the source no longer has; it does when left out.
    prune: Option<bool>,
}

impl Extras {
    /// Renders an argocd.yaml; one that gives nothing adds nothing.
    ///
    /// # Errors
    /// What fails in the template, more than one document, or a key that is not known.
    pub fn read(template: &Template, context: &Context) -> Result<Self, Violations> {
        let wrong = |message: String| {
            vec![
                Violation::error(message)
                    .at(Origin::file(template.file().clone()))
                    .hint("an argocd.yaml gives annotations, ignoreDifferences and prune"),
            ]
        };
        let mut made = template.render(context)?;
        made.retain(|m| !m.value.is_null());
        match made.len() {
            0 => Ok(Self::default()),
            1 => serde_json::from_value(made.remove(0).value)
                .map_err(|e| wrong(crate::redact::redact(&e.to_string()).into_owned())),
            _ => Err(wrong("an argocd.yaml holds one document".into())),
        }
    }

    /// Adds them to an Application. Our own annotations win.
    pub fn add_to(self, app: &mut Value) {
        if let Some(own) = app.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
            for (key, value) in self.annotations {
                own.entry(key).or_insert(Value::String(value));
            }
        }
        if !self.ignore_differences.is_empty() {
            let mut all = app["spec"]["ignoreDifferences"].as_array().cloned().unwrap_or_default();
            all.extend(self.ignore_differences);
            app["spec"]["ignoreDifferences"] = Value::Array(all);
        }
        let automated = app.pointer_mut("/spec/syncPolicy/automated").and_then(Value::as_object_mut);
        if let (Some(prune), Some(automated)) = (self.prune, automated) {
            automated.insert("prune".into(), json!(prune));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Part;

    fn read(text: &str) -> Result<Extras, Violations> {
        let template = Template::compile("argocd.yaml".into(), text).unwrap();
        let parts = [("on", Part::new(json!(false)))].into();
        Extras::read(&template, &Context::new(parts, Default::default()))
    }

    #[test]
    fn a_template_that_gives_nothing_adds_nothing() {
        for text in ["", "# a comment\n", "{% if on %}\nprune: false\n{% endif %}\n"] {
            assert_eq!(read(text).unwrap(), Extras::default(), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused_with_its_name() {
        for (text, name) in [
            ("annotatons: {a: b}\n", "annotatons"),
            ("prune: 1\n", "boolean"),
            ("a: 1\n---\nb: 2\n", "one document"),
        ] {
            let why = read(text).unwrap_err();
            assert!(why[0].message.contains(name), "{}", why[0]);
            assert!(why[0].to_string().starts_with("argocd.yaml: "), "{}", why[0]);
        }
    }

    #[test]
    fn our_own_annotations_win_and_differences_add_up() {
        let mut app = json!({
            "metadata": {"annotations": {"wave": "1"}},
            "spec": {"ignoreDifferences": [{"kind": "A"}], "syncPolicy": {"automated": {"prune": true}}},
        });
        let text = "annotations: {wave: '9', more: x}\nignoreDifferences: [{kind: B}]\nprune: false\n";
        read(text).unwrap().add_to(&mut app);
        assert_eq!(app["metadata"]["annotations"], json!({"wave": "1", "more": "x"}));
        assert_eq!(app["spec"]["ignoreDifferences"], json!([{"kind": "A"}, {"kind": "B"}]));
        assert_eq!(app["spec"]["syncPolicy"]["automated"]["prune"], false);
        let mut manual = json!({"metadata": {"annotations": {}}, "spec": {"syncPolicy": {}}});
        read(text).unwrap().add_to(&mut manual);
        assert_eq!(manual["spec"]["syncPolicy"], json!({}), "a manual sync has no automation");
    }
}
