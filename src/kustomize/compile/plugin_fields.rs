//! Reads the fields of configuration objects that are more than a text.

use super::Place;
use super::changes::read_replacement_file;
use crate::error::Violation;
use crate::kustomize::fieldspec::FieldSpec;
use crate::kustomize::kustomization::{Fields, Wrong, read_field_specs, read_replacement, read_selector};
use crate::kustomize::program::{Change, Op};
use crate::kustomize::transform::metadata::{End, NamespaceChange, Subjects};
use crate::kustomize::transform::replacements::Replacement;
use crate::kustomize::transform::value_add::{AddTarget, ValueAdd};
use crate::yaml::{Limits, read};

/// Compiles the ends of names that a configuration object adds to.
pub(super) fn names(fields: &Fields<'_>, ends: &[(&str, End)], wrong: &mut Wrong) -> Vec<Op> {
    let mut known: Vec<&str> = ends.iter().map(|(key, _)| *key).collect();
    known.push("fieldSpecs");
    only(fields, &known, wrong);
    if fields.entry("fieldSpecs").is_none() {
        let message = "`fieldSpecs` is missing: which names are changed";
        wrong.push(Violation::error(message).at(fields.origin()).hint("- path: metadata/name"));
    }
    let specs = read_field_specs(fields, "fieldSpecs", wrong);
    let change = |(key, end): &(&str, End), wrong: &mut Wrong| {
        let names = Change::Names { text: fields.text(key, wrong), end: *end, specs: specs.clone() };
        Op::Change(Box::new(names), fields.origin(), None)
    };
    ends.iter().map(|e| change(e, wrong)).collect()
}

/// Notes unknown fields of a configuration object.
pub(super) fn only(fields: &Fields<'_>, known: &[&str], wrong: &mut Wrong) {
    let all: Vec<&str> =
        ["apiVersion", "kind", "metadata"].into_iter().chain(known.iter().copied()).collect();
    fields.only(&all, wrong);
}

pub(super) fn namespace(fields: &Fields<'_>, specs: Vec<FieldSpec>, wrong: &mut Wrong) -> NamespaceChange {
    only(fields, &["fieldSpecs", "unsetOnly", "setRoleBindingSubjects"], wrong);
    let namespace =
        fields.map("metadata", "metadata").map(|f| f.text("namespace", wrong)).unwrap_or_default();
    let subjects = match fields.text("setRoleBindingSubjects", wrong).as_str() {
        "" | "defaultOnly" => Subjects::Default,
        "allServiceAccounts" => Subjects::ServiceAccounts,
        "none" => Subjects::None,
        other => {
            let message = format!("`{other}` is unknown; write defaultOnly, allServiceAccounts or none");
            wrong.push(Violation::error(message).at(fields.origin()).key("setRoleBindingSubjects"));
            Subjects::None
        }
    };
    NamespaceChange { namespace, specs, unset_only: fields.flag("unsetOnly", wrong), subjects }
}

pub(super) fn value_add(fields: &Fields<'_>, place: &Place<'_>, wrong: &mut Wrong) -> Option<ValueAdd> {
    only(fields, &["value", "targets", "targetFilePath"], wrong);
    let mut value = fields.text("value", wrong).trim().to_owned();
    if value.is_empty() {
        value = place.folder.path.rsplit('/').next().unwrap_or("").to_owned();
    }
    let mut targets = targets(fields, wrong);
    let path = fields.text("targetFilePath", wrong);
    if !path.is_empty() {
        let read_file = place.folder.read_file(&(path, fields.origin())).map_err(|v| vec![*v]);
        let documents = read_file.and_then(|(bytes, file)| {
            Ok((read(&bytes, &Limits::manifests()).map_err(|e| vec![e.in_file(&file)])?, file))
        });
        match documents {
            Ok((documents, file)) => {
                let all = documents.iter().take(1);
                all.for_each(|d| targets.extend(self::targets(&Fields::new(d, &file, ""), wrong)));
            }
            Err(more) => wrong.extend(more),
        }
    }
    if targets.is_empty() {
        wrong.push(Violation::error("at least one target is needed").at(fields.origin()).key("targets"));
        return None;
    }
    Some(ValueAdd { value, targets })
}

fn targets(fields: &Fields<'_>, wrong: &mut Wrong) -> Vec<AddTarget> {
    let mut all = Vec::new();
    for target in fields.maps("targets", "targets", wrong) {
        target.only(&["selector", "fieldPath", "filePathPosition"], wrong);
        let selector_path = target.path_of("selector");
        let field = target.text("fieldPath", wrong);
        if field.is_empty() {
            wrong.push(Violation::error("`fieldPath` is missing").at(target.origin()).key("targets"));
        }
        let position = target.number("filePathPosition", wrong);
        all.push(AddTarget {
            selector: target.map("selector", &selector_path).map(|f| read_selector(f, wrong)),
            field,
            position: usize::try_from(position).unwrap_or_else(|_| {
                let message = "`filePathPosition` cannot be negative";
                wrong.push(Violation::error(message).at(target.origin()).key("targets"));
                0
            }),
        });
    }
    all
}

pub(super) fn replacements(fields: &Fields<'_>, place: &Place<'_>, wrong: &mut Wrong) -> Vec<Op> {
    only(fields, &["replacements"], wrong);
    let mut all = Vec::new();
    for entry in fields.maps("replacements", "replacements", wrong) {
        let path = entry.text("path", wrong);
        if path.is_empty() {
            all.extend(read_replacement(entry, wrong));
            continue;
        }
        match read_replacement_file(&(path, entry.origin()), place) {
            Ok(more) => all.extend(more),
            Err(more) => wrong.extend(more),
        }
    }
    let op = |r: Replacement| {
        let at = r.at.clone();
        Op::Change(Box::new(Change::Replacement(Box::new(r))), at, None)
    };
    all.into_iter().map(op).collect()
}
