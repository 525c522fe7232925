//! Reading and writing YAML: bounds, places, and the two readers we must agree with.

use crate::common::{kubectl_kustomize, write_files};
use hydrant::yaml::{Limits, Schema, read, read_one, write};
use serde_json::{Value, json};

fn torture() -> Vec<String> {
    let mut all: Vec<String> = [
        "yes", "no", "on", "off", "y", "n", "Y", "N", "true", "True", "null", "~", "", "0123", "0o17", "0x1F", "1e3",
        "1.0", ".5", "1_000", "0b101", "12:30", "12:30:45", "2024-01-01", "2024-01-01T00:00:00Z", ".inf", "-.inf",
        ".nan", "=a", "-", "- a", "-x", "?", "? a", "?x", ":", ":x", "a:", "a: b", "a#b", "a #b", "#a", "&a", "*a",
        "!a", "|", ">", "'", "\"", "%a", "@a", "`a", "[a]", "{a}", "a,b", ",a", " a", "a ", "a\tb", "\ta", "it's",
        "say \"x\"", "it's \"x\": y", "a\\b: c", "---", "--- a", "...", "a\nb", "a\nb\n", "a\n\n", "\n", "\n\na\n",
        "  a\nb\n", "a \nb", "a\n  \nb\n", "a\n\tb\n", "\ta\nb", "a\r\nb", "a\u{a0}b", "ünï", "日本", "😀 x", "a\n😀",
        "08", "+1", "1.", "0_1", "99999999999999999999999999", "nil", "NO", "Off", "<a", "a=b", "a\u{1}b",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb cccccccccccccccccccccc dddddd eeeeeee",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb cccccccccccccccccccccc dddddd eeeeeee",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaa\u{e9}\u{1}: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb  cccccccccccccccccccc  dddddd eeeeeee",
    ]
    .iter()
    .map(|s| s.to_string())
    .collect();
    all.push("x".repeat(300));
    all
}

#[test]
fn what_is_written_reads_back_by_both_schemas() {
    for text in torture()
        .into_iter()
        .chain(["=", "<<", "a\u{85}b", "a\u{2028}b", "\u{feff}x", "a\u{7f}b"].map(String::from))
    {
        let value = json!({ "k": text, "list": [text, [text]], "keys": { text.clone(): 1 } });
        let out = write(&value);
        for schema in [Schema::Kubectl, Schema::Kustomize] {
            let back = read_one(out.as_bytes(), &Limits::manifests())
                .unwrap_or_else(|e| panic!("{text:?} gives {out:?}: {e:?}"))
                .to_value(schema)
                .expect("typed");
            assert_eq!(back, value, "{text:?} was written as {out:?}");
        }
    }
}

#[test]
fn strings_are_written_with_the_bytes_of_kubectl_kustomize() {
    let data: serde_json::Map<String, Value> =
        torture().into_iter().enumerate().map(|(i, s)| (format!("k{i}"), Value::String(s))).collect();
    let mut manifest =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data});
    manifest["numbers"] =
        json!([1, -5, 0.5, 1.5e6, 1500000.5, 1e21, 1e-7, 123456.75, 0.00001, 18446744073709551615u64]);
    manifest["nested"] = json!({"a": {}, "b": [], "c": [[1, [2, {"x": 1, "y": [3]}]], {}, []], "a10": 1, "a2": 2, "A": 3, "_u": 4, "a-b": 5});
    let dir = tempfile::tempdir().expect("dir");
    write_files(
        dir.path(),
        &[("a.yaml", &manifest.to_string()), ("kustomization.yaml", "resources: [a.yaml]\n")],
    );
    let Some(theirs) = kubectl_kustomize(dir.path()) else { return };
    let theirs = theirs.expect("kubectl takes it");
    let ours = write(&manifest);
    for (a, b) in ours.lines().zip(theirs.lines()) {
        assert_eq!(a, b);
    }
    assert_eq!(ours, theirs);
}

#[test]
fn plain_scalars_have_the_types_that_kustomize_gives_them() {
    let words = [
        "yes",
        "no",
        "on",
        "y",
        "true",
        "True",
        "TRUE",
        "tRue",
        "null",
        "Null",
        "~",
        "0644",
        "0o17",
        "0x1F",
        "0b11",
        "08",
        "1e3",
        "1.0",
        "1_000",
        "0_1",
        "1__0",
        "+1",
        ".5",
        "5.",
        "12:30",
        "1e400",
        "-1.5e-3",
        "12345678901234567890",
        "1e400",
        "0x",
        "1e",
        "+",
        "0.1.2",
        "1,000",
        "0o8",
        "0b2",
        "1_000.5",
        "_1",
        "9007199254740993",
    ];
    let mut text = String::from("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\nx:\n");
    for (i, w) in words.iter().enumerate() {
        text.push_str(&format!("  k{i}: {w}\n"));
    }
    let dir = tempfile::tempdir().expect("dir");
    write_files(dir.path(), &[("a.yaml", &text), ("kustomization.yaml", "resources: [a.yaml]\n")]);
    let Some(theirs) = kubectl_kustomize(dir.path()) else { return };
    let ours = write(
        &read_one(text.as_bytes(), &Limits::manifests())
            .expect("yaml")
            .to_value(Schema::Kustomize)
            .expect("typed"),
    );
    assert_eq!(ours, theirs.expect("kubectl takes it"));
}

#[track_caller]
fn refused(text: impl AsRef<[u8]>, line: u32, message: &str) {
    let error = read(text.as_ref(), &Limits::inputs()).expect_err("this must be refused");
    assert!(error.message.contains(message), "{error:?}");
    assert_eq!(error.at.line, line, "{error:?}");
}

#[test]
fn traps_are_refused_with_their_own_message_and_place() {
    refused("a: 1\nb: 2\na: 3\n", 3, "`a` stands twice; the first is on line 1");
    refused("\u{feff}a: 1\n", 1, "byte order mark");
    refused(b"a: 1\nb: \xff\n", 2, "not UTF-8");
    refused("a:\n\tb: 1\n", 2, "a tab stands where YAML wants spaces");
    refused("[".repeat(100_000), 1, "nest deeper than 64 levels");
    refused(format!("a: {}1{}\n", "{b: ".repeat(70), "}".repeat(70)), 1, "nest deeper");
    refused("a: [1, 2\nb: 3\n", 2, "this is not YAML");
    refused("? {a: b}\n: c\n", 1, "a key must be text");
    refused("a: &a [*a]\n", 1, "an alias stands inside the very node");
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for i in 1..10 {
        let alias = format!("*a{}", i - 1);
        bomb.push_str(&format!("a{i}: &a{i} [{}]\n", [alias.as_str(); 9].join(",")));
    }
    refused(&bomb, 6, "nodes once its aliases are resolved");
    let quadratic = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(50_000), vec!["*a"; 10_000].join(","));
    refused(&quadratic, 2, "bytes of text once its aliases are resolved");
}

#[test]
fn a_node_knows_its_line_and_column() {
    let node = read_one(b"a: 1\nb:\n  - c: x\n    d: \"y\"\n", &Limits::inputs()).expect("yaml");
    let d = node.nearest("/b/0/d");
    assert_eq!((d.at.line, d.at.column), (4, 8));
    let entry = node.get("b").expect("b").items()[0].entry("d").expect("d");
    assert_eq!((entry.key_at.line, entry.key_at.column), (4, 5));
}
