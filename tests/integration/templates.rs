//! One expression is one value, undefined is an error with names and never values, and no
//! template takes more than its share of time and memory.

use crate::support::fleet::Fleet;
use crate::support::measure::watch;
use serde_json::{Value, json};
use std::time::Duration;

const HEAD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: notes\n";

/// Renders one template on one cluster and returns the object as it is written.
#[track_caller]
fn rendered(fleet: &Fleet) -> Value {
    let out = fleet.beside("out");
    fleet.call(&["render"], &["--out", &out.display().to_string()]).run().exits(0);
    let path = out.join("lab/a/platform/notes/configmap-notes.yaml");
    crate::catalog::documents(&std::fs::read_to_string(path).expect("the object")).remove(0)
}

fn with_template(text: &str) -> Fleet {
    let fleet = Fleet::of(&["a"]);
    fleet.component("notes", text);
    fleet
}

/// Every kind of text that YAML could take for something else.
const ODD: [&str; 18] = [
    "plain",
    "yes",
    "no",
    "on",
    "null",
    "~",
    "4.20",
    "0o17",
    "1e3",
    "",
    " x ",
    "a: b",
    "- a",
    "{{ x }}",
    "#c",
    "a\"b'c\\d",
    "line\nsecond\n",
    "tab\there",
];

#[test]
fn a_team_written_text_stays_one_text_in_every_place() {
    for (i, odd) in ODD.iter().enumerate() {
        // Once as a skeleton that is parsed before, once printed and parsed after.
        for tag in ["", "{% if true %}\n{% endif %}\n"] {
            let body = format!(
                "{HEAD}{tag}data:\n  v: {{{{ values.odd }}}}\n  joined: {{{{ \"<\" ~ values.odd ~ \">\" }}}}\n  {{{{ \"key-\" ~ values.odd }}}}: k\n  list: [{{{{ values.odd }}}}, b]\n  items:\n    - {{{{ values.odd }}}}\n  flow: {{in: {{{{ values.odd }}}}}}\n"
            );
            let fleet = with_template(&body);
            fleet.write("templates/platform/notes/values.yaml", &json!({"odd": odd}).to_string());
            let data = &rendered(&fleet)["data"];
            let wanted = json!({
                "v": odd, "joined": format!("<{odd}>"), format!("key-{odd}"): "k",
                "list": [odd, "b"], "items": [odd], "flow": {"in": odd},
            });
            assert_eq!(*data, wanted, "text {i} {odd:?} with {tag:?}");
        }
    }
}

#[test]
fn a_value_keeps_its_type() {
    for tag in ["", "{% if true %}\n{% endif %}\n"] {
        let fleet = with_template(&format!("{HEAD}{tag}data: {{{{ values.all }}}}\n"));
        let all = json!({"int": 1, "big": 18446744073709551615u64, "low": -9223372036854775808i64, "float": 1.5,
            "true": true, "null": null, "list": [1, "1"], "map": {"a": {"b": []}}, "text": "1"});
        fleet.write("templates/platform/notes/values.yaml", &json!({"all": all}).to_string());
        assert_eq!(rendered(&fleet)["data"], all);
    }
}

#[test]
fn a_mapping_may_stand_inside_an_expression() {
    let fleet = with_template(&format!("{HEAD}data: {{{{ {{\"a\": {{\"b\": \"}}}}\"}}}} }}}}\n"));
    assert_eq!(rendered(&fleet)["data"], json!({"a": {"b": "}}"}}));
}

#[test]
fn an_expression_that_is_no_whole_value_is_refused_with_its_line_in_every_form() {
    let forms = [
        "  a: x{{ env }}",
        "  a: {{ env }}x",
        "  a: {{ env }} {{ env }}",
        "  a: \"{{ env }}\"",
        "  a: '{{ env }}'",
        "  a: 'x {{ env }}'",
        "  a: |\n    {{ env }}",
        "  a: >-\n    {{ env }}",
        "  a: x\n    {{ env }}",
        "  x-{{ env }}: a",
        "  \"{{ env }}\": a",
        "  a: [x{{ env }}]",
        "  a: !!str {{ env }}",
    ];
    for form in forms {
        for tag in ["", "{% if true %}\n{% endif %}\n"] {
            let ran = with_template(&format!("{HEAD}data:\n{tag}{form}\n")).validate(&[]);
            assert_eq!(ran.code, 2, "{form:?} with {tag:?} passed:\n{}", ran.stderr);
            assert!(
                ran.stderr.contains("templates/platform/notes/objects.yaml:")
                    && ran.stderr.contains("an expression must be a whole YAML value or key"),
                "{form:?} with {tag:?}:\n{}",
                ran.stderr
            );
        }
    }
}

#[test]
fn all_failing_expressions_of_a_template_are_said_at_once() {
    let fleet = with_template(&format!("{HEAD}data:\n  a: {{{{ cluster.nam }}}}\n  b: {{{{ envv }}}}\n"));
    fleet
        .validate(&[])
        .exits(2)
        .says("objects.yaml:6: `cluster.nam` is not defined")
        .says("hint: did you mean `name`?")
        .says("objects.yaml:7: `envv` is not defined")
        .says("hint: did you mean `env`?");
}

#[test]
fn an_undefined_value_shows_names_and_types_in_reach_and_never_values() {
    let fleet = with_template(&format!("{HEAD}data:\n  a: {{{{ values.nested.pasword }}}}\n"));
    fleet.write(
        "templates/platform/notes/values.yaml",
        "nested:\n  password: canary-of-a-password\n  port: 8200\n  hosts: [canary-host]\n",
    );
    let report = fleet.beside("report.json");
    let ran = fleet.validate(&["-vv", "--report", &report.display().to_string()]).exits(2);
    let ran = ran.says("`values.nested.pasword` is not defined").says("did you mean `password`?");
    let ran = ran.says("in reach here: hosts (a list), password (a string), port (an integer)");
    let all = format!("{}{}{}", ran.stdout, ran.stderr, std::fs::read_to_string(report).expect("report"));
    assert!(!all.contains("canary") && !all.contains("8200"), "{all}");
}

#[test]
fn undefined_is_an_error_wherever_it_stands() {
    let uses = [
        "  a: {{ values.gone }}",
        "  a: {{ values.gone.deeper }}",
        "  a: {{ \"x\" ~ values.gone }}",
        "  a: {{ values.gone | upper }}",
        "  a: {{ values.gone | list }}",
        "  a: {{ \"b\" if values.gone else \"c\" }}",
        "  a: {{ [values.gone] }}",
        "{% if values.gone %}\n  a: b\n{% endif %}",
        "{% for x in values.gone %}\n  a: b\n{% endfor %}",
        "{% set x = values.gone %}\n  a: b",
        "  {{ values.gone }}: a",
    ];
    for form in uses {
        let fleet = with_template(&format!("{HEAD}data:\n{form}\n"));
        let ran = fleet.validate(&[]);
        assert_eq!(ran.code, 2, "{form:?} passed:\n{}", ran.stderr);
        assert!(ran.stderr.contains("objects.yaml:6"), "{form:?} has no line:\n{}", ran.stderr);
    }
    // What may be missing says so.
    let fleet = with_template(&format!("{HEAD}data:\n  a: {{{{ values.gone | default(\"b\") }}}}\n"));
    assert_eq!(rendered(&fleet)["data"]["a"], "b");
}

#[test]
fn a_number_that_is_none_is_an_error_and_no_null() {
    for expression in ["1e308 | times(10)", "values.huge", "1 / 0"] {
        let fleet = with_template(&format!("{HEAD}data:\n  a: {{{{ {expression} }}}}\n"));
        let ran = fleet.validate(&[]);
        assert_eq!(ran.code, 2, "{expression}: {}", ran.stdout);
    }
}

/// Templates that would take all memory or time of an engine whose only bound is fuel; the first
/// ten are those of our notes on reliability, the others go around each bound of ours.
fn hostile() -> Vec<(&'static str, String)> {
    let lines = |n: usize, line: &dyn Fn(usize) -> String| (0..n).map(line).collect::<Vec<_>>().join("\n");
    let data = |body: String| format!("{HEAD}data:\n{body}\n");
    let slot = |expression: &str| data(format!("  a: {{{{ {expression} }}}}"));
    let tags = |body: &str| data(format!("{body}\n  a: b"));
    vec![
        ("namespace", tags("{% set ns = namespace(x=\"A\") %}\n{% for i in values.many %}\n{% set ns.x = ns.x ~ ns.x %}\n{% endfor %}")),
        ("join of a repeated text", slot("(\"x\" * 10000) | join(\"x\" * 10000)")),
        ("text times a number", slot("\"A\" * 100000000")),
        ("nested loops", tags(&format!("{}\n{}", lines(6, &|_| "{% for a in values.many %}".into()), lines(6, &|_| "{% endfor %}".into())))),
        ("range", tags("{% for i in range(100000000) %}\n{% endfor %}")),
        ("recursion of a macro", tags("{% macro m() %}{{ m() }}{% endmacro %}")),
        ("recursive loop", tags("{% for x in [values.many] recursive %}\n  a{{ loop(x) }}: b\n{% endfor %}")),
        ("doubling by set", tags(&lines(40, &|i| if i == 0 { "{% set x = \"AAAAAAAAAA\" %}".into() } else { "{% set x = x ~ x %}".into() }))),
        ("output without end", data("{% for a in values.many %}\n{% for b in values.many %}\n  k: {{ values.text }}\n{% endfor %}\n{% endfor %}".into())),
        ("deep brackets", slot(&format!("{}{}", "[".repeat(900), "]".repeat(900)))),
        ("doubling past the brackets of set", tags(&lines(40, &|i| if i == 0 { "{% set x = \"AAAAAAAAAA\" %}".into() } else { "{% set x = x) ~ (x %}".into() }))),
        ("many names for large texts", tags(&lines(2_000, &|i| format!("{{% set x{i} = values.text ~ \"{i}\" %}}")))),
        ("many large slots", data(lines(2_000, &|i| format!("  k{i}: {{{{ values.text }}}}")))),
        ("many large slots of a file", data(lines(2_000, &|i| format!("  k{i}: {{{{ text(\"big.txt\") }}}}")))),
        ("lists of characters", slot(&format!("[{}] | length", lines(14, &|_| "text(\"big.txt\") | list,".into()).replace('\n', "")))),
        ("replace in every item", slot("text(\"big.txt\") | list | map(\"replace\", \"x\", text(\"big.txt\")) | list | length")),
        ("a copy for every item", slot("values.many | map(attribute=\"gone\", default=text(\"big.txt\")) | map(\"upper\") | list | length")),
        ("replace that grows", slot("text(\"big.txt\") | replace(\"\", text(\"big.txt\")) | length")),
        ("join that grows", slot("values.many | join(text(\"big.txt\")) | length")),
        ("split into characters", slot("text(\"big.txt\") | split(\"\") | map(\"replace\", \"x\", text(\"big.txt\")) | length")),
        ("work in a loop", tags("{% for a in values.many %}\n{% if text(\"big.txt\") | replace(\"x\", \"y\") == \"z\" %}\n{% endif %}\n{% endfor %}")),
        ("sets in a loop", tags("{% for a in values.many %}\n{% set y = text(\"big.txt\") ~ text(\"big.txt\") %}\n{% endfor %}")),
        ("nested lists by set", tags(&lines(3_000, &|i| if i == 0 { "{% set x = [1] %}".into() } else { "{% set x = [x] %}".into() }))),
        ("lists of lists by set", tags(&lines(60, &|i| if i == 0 { "{% set x = [1] %}".into() } else { "{% set x = [x, x, x, x] %}".into() }))),
    ]
}

#[test]
fn a_hostile_template_ends_soon_in_little_memory_and_says_why() {
    let mut failed = Vec::new();
    for (name, template) in hostile() {
        let fleet = with_template(&template);
        let text = "x".repeat(900_000);
        fleet.write("templates/platform/notes/big.txt", &text);
        let many: Vec<usize> = (0..1_000).collect();
        let values = json!({"many": many, "text": &text[..100_000]}).to_string();
        fleet.write("templates/platform/notes/values.yaml", &values);
        let path = fleet.path().display().to_string();
        let cost = watch(&["validate", "--fleet", &path], Duration::from_secs(30));
        // A debug build on a busy machine; the release build is many times faster.
        let soon = cost.time < Duration::from_secs(2 * if cfg!(debug_assertions) { 4 } else { 1 });
        let small = cost.peak < 256 << 20;
        let placed = cost.stderr.contains("templates/platform/notes/objects.yaml");
        let peak = cost.peak >> 20;
        eprintln!("{name}: {:?}, {peak} MiB, exit {:?}", cost.time, cost.code);
        if cost.code != Some(2) || !soon || !small || !placed {
            failed.push(format!(
                "{name}: exit {:?} in {:?} with {peak} MiB:\n{}",
                cost.code, cost.time, cost.stderr
            ));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn a_template_of_ordinary_size_stays_far_below_its_bounds() {
    let fleet = with_template(
        "{% for n in values.many %}\n{% set name = \"notes-\" ~ n %}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ name }}\ndata:\n  all: {{ values.many | map(\"string\") | join(\",\") }}\n{% endfor %}\n",
    );
    let many: Vec<usize> = (0..300).collect();
    fleet.write("templates/platform/notes/values.yaml", &json!({"many": many}).to_string());
    fleet.validate(&[]).exits(0);
}

#[test]
fn a_loop_may_give_many_objects_and_each_is_written() {
    let fleet = with_template(
        "{% for n in values.names %}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ n }}\ndata: {at: {{ loop.index }}}\n{% endfor %}\n",
    );
    fleet.write("templates/platform/notes/values.yaml", "names: [a, b, c]\n");
    let out = fleet.beside("out");
    fleet.call(&["render"], &["--out", &out.display().to_string()]).run().exits(0);
    for name in ["a", "b", "c"] {
        assert!(out.join(format!("lab/a/platform/notes/configmap-{name}.yaml")).is_file());
    }
}
