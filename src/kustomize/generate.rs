//! Makes ConfigMaps and Secrets from literals, files and env files.

use super::kustomization::{GeneratorArgs, GeneratorKind, Placed};
use super::loader::Folder;
use super::resource::{Resource, set_metadata_map};
use crate::error::{Origin, Violation, Violations};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// One key with its bytes and the place that gives it.
type Pair = (String, Vec<u8>, Origin);

/// Makes the object of one generator.
///
/// # Errors
/// A source that cannot be read or does not have its form, or a key twice.
pub fn generate(args: &GeneratorArgs, folder: &Folder<'_>) -> Result<Resource, Violations> {
    let mut wrong = Violations::new();
    if args.name.is_empty() {
        wrong.push(Violation::error("a generator needs a `name`").at(args.at.clone()));
    }
    let mut data: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (key, bytes, at) in pairs(args, folder, &mut wrong) {
        if data.insert(key.clone(), bytes).is_some() {
            let message = format!("the generator `{}` gives the key `{key}` twice", args.name);
            wrong.push(Violation::error(message).at(at));
        }
    }
    if wrong.is_empty() { Ok(object(args, data)) } else { Err(wrong) }
}

fn object(args: &GeneratorArgs, data: BTreeMap<String, Vec<u8>>) -> Resource {
    let mut value = match args.kind {
        GeneratorKind::ConfigMap => json!({"apiVersion": "v1", "kind": "ConfigMap"}),
        GeneratorKind::Secret => {
            let of = if args.secret_type.is_empty() { "Opaque" } else { &args.secret_type };
            json!({"apiVersion": "v1", "kind": "Secret", "type": of, "data": {}})
        }
    };
    for (key, bytes) in data {
        let (field, text) = match (args.kind, String::from_utf8(bytes)) {
            (GeneratorKind::ConfigMap, Ok(text)) => ("data", text),
            (GeneratorKind::ConfigMap, Err(e)) => ("binaryData", wrapped_base64(e.as_bytes())),
            (GeneratorKind::Secret, Ok(text)) => ("data", wrapped_base64(text.as_bytes())),
            (GeneratorKind::Secret, Err(e)) => ("data", wrapped_base64(e.as_bytes())),
        };
        let map = value.as_object_mut().map(|m| m.entry(field).or_insert_with(|| Value::Object(Map::new())));
        if let Some(Value::Object(map)) = map {
            map.insert(key, Value::String(text));
        }
    }
    let mut resource = Resource::new(value);
    resource.set_name(args.name.clone());
    resource.set_namespace(&args.namespace);
    for (map, texts) in [("labels", &args.options.labels), ("annotations", &args.options.annotations)] {
        let entries = texts.iter().map(|(k, v)| (k.clone(), Value::String(v.clone()))).collect();
        set_metadata_map(&mut resource.value, map, entries);
    }
    if args.options.immutable
        && let Value::Object(map) = &mut resource.value
    {
        map.insert("immutable".into(), Value::Bool(true));
    }
    resource.generated = true;
    resource.behavior = args.behavior;
    resource.needs_hash = !args.options.disable_name_suffix_hash;
    resource.at = Some(args.at.clone());
    resource
}

/// Encodes bytes; kustomize breaks long texts after 70 signs, and its hash counts that.
fn wrapped_base64(bytes: &[u8]) -> String {
    const LINE: usize = 70;
    let encoded = STANDARD.encode(bytes);
    if encoded.len() < LINE {
        return encoded;
    }
    let mut out = String::with_capacity(encoded.len() + encoded.len() / LINE + 1);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(LINE));
        out.push_str(line);
        out.push('\n');
        rest = more;
    }
    out
}

fn pairs(args: &GeneratorArgs, folder: &Folder<'_>, wrong: &mut Violations) -> Vec<Pair> {
    let mut all = Vec::new();
    for placed in &args.envs {
        match folder.read_file(placed) {
            Ok((bytes, file)) => env_lines(&bytes, &file, &mut all, wrong),
            Err(violation) => wrong.push(*violation),
        }
    }
    for (source, at) in &args.literals {
        match source.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                all.push((key.to_owned(), unquoted(value).as_bytes().to_vec(), at.clone()));
            }
            _ => wrong.push(
                // The text may be a secret: it is not shown.
                Violation::error("a literal is not `key=value`").at(at.clone()).key("literals"),
            ),
        }
    }
    for placed in &args.files {
        match file_pair(placed, folder) {
            Ok(pair) => all.push(pair),
            Err(violation) => wrong.push(*violation),
        }
    }
    all
}

fn unquoted(text: &str) -> &str {
    for quote in ['"', '\''] {
        if text.len() >= 2
            && let Some(inner) = text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote))
        {
            return inner;
        }
    }
    text
}

fn file_pair((source, at): &Placed, folder: &Folder<'_>) -> Result<Pair, Box<Violation>> {
    let wrong = |message: &str| Box::new(Violation::error(message).at(at.clone()).key("files"));
    let (key, path) = match source.split_once('=') {
        None => (source.rsplit('/').next().unwrap_or(source), source.as_str()),
        Some((_, path)) if path.contains('=') => return Err(wrong("a file has more than one `=`")),
        Some(("", _)) => return Err(wrong("a key is missing before the `=`")),
        Some((_, "")) => return Err(wrong("a path is missing after the `=`")),
        Some((key, path)) => (key, path),
    };
    let (bytes, _) = folder.read_file(&(path.to_owned(), at.clone()))?;
    Ok((key.to_owned(), bytes, at.clone()))
}

/// Reads `key=value` lines; `#` begins a comment line, a key alone has an empty value.
fn env_lines(bytes: &[u8], file: &std::sync::Arc<str>, all: &mut Vec<Pair>, wrong: &mut Violations) {
    for (i, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let at = Origin::at(file.clone(), i as u32 + 1, 1);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Ok(line) = std::str::from_utf8(line) else {
            wrong.push(Violation::error("the line is not UTF-8").at(at));
            continue;
        };
        let line = if i == 0 { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        if !key.is_empty() {
            all.push((key.to_owned(), value.as_bytes().to_vec(), at));
        }
    }
}
