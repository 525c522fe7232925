//! Bindings become subjects: every rule with its message, and that one bad binding stops no other.

use crate::common::project;
use hydrant::error::{Severity, Violation};
use hydrant::model::binding::{BindingFile, PlainSecret, TenantSettings};
use hydrant::model::id::{ClusterId, SubjectId};
use hydrant::stage::bindings::{
    BindingDocument, BindingRules, ClaimScope, ClusterView, Clusters, FailedIdentity, Subjects, Unreadable,
    resolve_bindings,
};
use hydrant::yaml::{Limits, read};
use serde_json::{Value, json};
use std::sync::Arc;

fn cluster(env: &str, name: &str, explicit: bool) -> ClusterView {
    ClusterView { id: ClusterId { env: env.into(), name: name.into() }, placement_explicit: explicit }
}

fn two_clusters() -> Vec<ClusterView> {
    vec![cluster("prod", "harbour", false), cluster("sno", "quay", false)]
}

fn rules(settings: &TenantSettings) -> BindingRules {
    BindingRules::new(settings, ["run-pipeline-v1".to_owned()])
}

fn strict() -> BindingRules {
    rules(&TenantSettings {
        approved_organizations: Some(vec!["river-works".into(), "sea-works".into()]),
        approved_zones: Some(vec!["hooks.example".into(), "river.example".into()]),
        ..TenantSettings::default()
    })
}

fn documents(files: &[(&str, &str)]) -> (Vec<BindingDocument>, Vec<Unreadable>) {
    let (mut documents, mut unreadable) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let file: Arc<str> = Arc::from(*name);
        match read(text.as_bytes(), &Limits::inputs()) {
            Ok(nodes) => {
                documents.extend(nodes.into_iter().map(|node| BindingDocument { node, file: file.clone() }));
            }
            Err(e) => unreadable.push(Unreadable { file: file.clone(), why: e.in_file(&file) }),
        }
    }
    (documents, unreadable)
}

fn resolve(files: &[(&str, &str)], clusters: &[ClusterView], rules: &BindingRules) -> Subjects {
    let (documents, unreadable) = documents(files);
    resolve_bindings(&documents, &unreadable, Clusters { known: clusters, unread: &[] }, rules)
}

fn resolve_text(text: &str) -> Subjects {
    resolve(&[("bindings/a.yaml", text)], &two_clusters(), &strict())
}

fn errors(subjects: &Subjects) -> Vec<String> {
    subjects
        .failed
        .iter()
        .flat_map(|f| &f.why)
        .filter(|v| v.severity == Severity::Error)
        .map(|v| v.message.clone())
        .collect()
}

fn organization(name: &str) -> String {
    format!(
        "apiVersion: aphex.io/v1alpha1\nkind: Organization\nmetadata: {{name: {name}, namespace: platform-system}}\nspec:\n  displayName: {name}\n  adminUsers: [ada@{name}.example]\n"
    )
}

fn binding(tenant: &str, repository: &str, metadata: &str) -> String {
    let (repo_org, repo_name) = repository.split_once('/').expect("organization/name");
    format!(
        "apiVersion: aphex.io/v1alpha1\nkind: RepoBinding\nmetadata: {{name: {tenant}-binding, namespace: platform-system{metadata}}}\nspec:\n  aphexOrg: river-works\n  repoOrg: {repo_org}\n  repoName: {repo_name}\n  pipelineName: {tenant}\n  templateRef: run-pipeline-v1\n  pipelineSpec: |\n    apiVersion: tekton.dev/v1\n    kind: Pipeline\n    spec:\n      tasks:\n        - name: build\n          taskRef: {{name: build}}\n"
    )
}

fn fleet(parts: &[String]) -> String {
    parts.join("---\n")
}

fn valid_fixtures() -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = std::fs::read_dir(project("fixtures/bindings/valid"))
        .expect("fixtures")
        .map(|f| f.expect("file").path())
        .map(|p| {
            let name = format!("bindings/{}", p.file_name().expect("name").to_string_lossy());
            (name, std::fs::read_to_string(&p).expect("text"))
        })
        .collect();
    files.sort();
    files
}

fn resolve_fixtures() -> Subjects {
    let files = valid_fixtures();
    let files: Vec<(&str, &str)> = files.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    resolve(&files, &two_clusters(), &strict())
}

#[test]
fn every_example_of_the_api_document_resolves() {
    let subjects = resolve_fixtures();
    assert!(subjects.failed.is_empty(), "{:#?}", subjects.failed);
    assert_eq!(subjects.organizations.keys().collect::<Vec<_>>(), ["river-works"]);
    assert_eq!(subjects.tenants.keys().collect::<Vec<_>>(), ["ferry", "locks", "tide", "weir"]);
    assert_eq!(subjects.knowledge_bases.keys().collect::<Vec<_>>(), ["harbour-docs", "river-docs"]);
}

#[test]
fn every_invalid_fixture_fails_with_the_message_it_documents() {
    let mut count = 0;
    for file in std::fs::read_dir(project("fixtures/bindings/invalid")).expect("fixtures") {
        let path = file.expect("file").path();
        let text = std::fs::read_to_string(&path).expect("text");
        let wanted =
            text.lines().next().and_then(|l| l.strip_prefix("# error: ")).expect("a documented error");
        let subjects = resolve_text(&text);
        let found: Vec<&Violation> = subjects.failed.iter().flat_map(|f| &f.why).collect();
        let hit = found.iter().find(|v| v.is_error() && v.message.contains(wanted));
        let hit = hit.unwrap_or_else(|| panic!("{}: no `{wanted}` in {found:#?}", path.display()));
        assert!(hit.at.as_ref().is_some_and(|at| at.line > 1), "{}: no place: {hit:?}", path.display());
        count += 1;
    }
    assert!(count > 70, "only {count} fixtures");
}

#[test]
fn the_schema_of_bindings_takes_every_valid_fixture_and_names_the_two_forms() {
    let schema = hydrant::model::cluster::schema_of::<BindingFile>();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for (name, text) in valid_fixtures() {
        for node in read(text.as_bytes(), &Limits::inputs()).expect("yaml") {
            let value = node.to_value(hydrant::yaml::Schema::Kubectl).expect("typed");
            let wrong: Vec<String> = validator.iter_errors(&value).map(|e| e.to_string()).collect();
            assert!(wrong.is_empty(), "{name}: {wrong:?}");
        }
    }
    let neither = json!({"apiVersion": "aphex.io/v1alpha1", "kind": "RepoBinding", "metadata": {"name": "a"},
        "spec": {"repoOrg": "a", "repoName": "b"}});
    assert!(!validator.is_valid(&neither));
}

#[test]
fn one_bad_binding_of_a_thousand_leaves_the_others_alone() {
    let mut parts = vec![organization("river-works")];
    parts.extend((0..999).map(|i| binding(&format!("t{i}"), &format!("river-works/r{i}"), "")));
    parts.push(binding("Bad_Name", "river-works/bad", ""));
    let subjects = resolve_text(&fleet(&parts));
    assert_eq!(subjects.tenants.len(), 999);
    assert_eq!(subjects.failed.len(), 1);
}

#[test]
fn all_problems_of_a_binding_are_said_at_once() {
    let text = "apiVersion: aphex.io/v1alpha1\nkind: RepoBinding\nmetadata: {name: a}\nspec:\n  aphexOrg: -x\n  repoOrg: a-\n  repoName: a/b\n  pipelineName: A\n  templateRef: nope\n  pipelineSpec: 'kind: Task'\n  more: 1\n";
    let subjects = resolve_text(text);
    assert_eq!(subjects.failed.len(), 1);
    assert!(errors(&subjects).len() >= 8, "{:#?}", errors(&subjects));
}

#[test]
fn a_failed_binding_is_known_by_its_subject_where_it_says_who_it_is() {
    let bad = binding("ferry", "river-works/ferry", "").replace("run-pipeline-v1", "nope");
    let subjects = resolve_text(&fleet(&[organization("river-works"), bad]));
    let id = SubjectId::Tenant { organization: "river-works".into(), tenant: "ferry".into() };
    assert_eq!(subjects.failed[0].id, FailedIdentity::Subject(id));
    assert!(subjects.may_delete.tenants, "its identity is known, so others may go");
}

#[test]
fn a_binding_without_a_usable_name_stops_deletions_of_its_kind_only() {
    let bad = binding("Ferry", "river-works/ferry", "");
    let may = resolve_text(&fleet(&[organization("river-works"), bad])).may_delete;
    assert!(!may.tenants && may.organizations && may.knowledge_bases);
    let may = resolve_text(&organization("River")).may_delete;
    assert!(!may.tenants && !may.organizations && may.knowledge_bases, "tenants are below organizations");
}

#[test]
fn a_file_that_does_not_parse_stops_all_deletions() {
    let good = organization("river-works");
    let subjects =
        resolve(&[("bindings/a.yaml", &good), ("bindings/b.yaml", "a: [")], &two_clusters(), &strict());
    let may = subjects.may_delete;
    assert!(!may.tenants && !may.organizations && !may.knowledge_bases);
    assert_eq!(subjects.organizations.len(), 1, "what parses is delivered");
    assert_eq!(subjects.failed[0].id, FailedIdentity::Unknown);
}

#[test]
fn two_bindings_with_one_pipeline_name_are_both_held() {
    let subjects = resolve_text(&fleet(&[
        organization("river-works"),
        binding("ferry", "river-works/a", ""),
        binding("ferry", "river-works/b", "").replace("ferry-binding", "other-binding"),
        binding("tide", "river-works/c", ""),
    ]));
    assert_eq!(subjects.tenants.keys().collect::<Vec<_>>(), ["tide"]);
    assert_eq!(subjects.failed.len(), 2);
    for failed in &subjects.failed {
        assert!(
            failed.why[0].message.contains("pipelineName `ferry` is claimed by RepoBinding `"),
            "{failed:?}"
        );
    }
}

#[test]
fn two_organizations_with_one_name_are_both_held_and_their_tenants_with_them() {
    let subjects = resolve_text(&fleet(&[
        organization("river-works"),
        organization("river-works"),
        binding("ferry", "river-works/a", ""),
    ]));
    assert!(subjects.organizations.is_empty() && subjects.tenants.is_empty());
    assert!(errors(&subjects).iter().any(|e| e.contains("its Organization `river-works` has failed")));
}

#[test]
fn one_repository_is_bound_once_whatever_its_case() {
    let subjects = resolve_text(&fleet(&[
        organization("river-works"),
        binding("a", "river-works/ferry", ""),
        binding("b", "River-Works/Ferry", ""),
    ]));
    assert!(subjects.tenants.is_empty());
    assert!(errors(&subjects)[0].contains("repository `river-works/ferry` is claimed by RepoBinding `a-binding` and by RepoBinding `b-binding` (bindings/a.yaml:"));
}

#[test]
fn names_that_only_begin_like_a_reserved_one_are_free() {
    for name in
        ["default-app", "vault-ui", "argocd-demo", "kubernetes", "organisation", "platform-system-two"]
    {
        let subjects =
            resolve_text(&fleet(&[organization("river-works"), binding(name, "river-works/a", "")]));
        assert!(subjects.failed.is_empty(), "{name}: {:?}", errors(&subjects));
    }
    let rules =
        rules(&TenantSettings { reserved_names: vec!["harbour-master".into()], ..TenantSettings::default() });
    assert!(rules.is_reserved("harbour-master") && rules.is_reserved("org-x") && rules.is_reserved("kube-x"));
}

#[test]
fn a_wildcard_between_tenants_fails_both_only_where_wildcards_are_on() {
    let text = fleet(&[
        organization("river-works"),
        binding("app", "river-works/a", ""),
        binding("app-prod", "river-works/b", ""),
        binding("apple", "river-works/c", ""),
    ]);
    assert!(resolve_text(&text).failed.is_empty(), "AppProjects name exact namespaces");
    let wild = rules(&TenantSettings { namespace_wildcard: true, ..TenantSettings::default() });
    let subjects = resolve(&[("bindings/a.yaml", &text)], &two_clusters(), &wild);
    assert_eq!(subjects.tenants.keys().collect::<Vec<_>>(), ["apple"]);
    let cert = fleet(&[organization("river-works"), binding("cert", "river-works/a", "")]);
    let subjects = resolve(&[("bindings/a.yaml", &cert)], &two_clusters(), &wild);
    assert!(errors(&subjects)[0].contains("would reach `cert-manager`"));
}

#[test]
fn an_organization_whose_bindings_are_left_is_held_not_deleted() {
    let subjects = resolve_text(&binding("ferry", "river-works/a", ""));
    let held = subjects.failed.iter().any(|f| {
        f.id == FailedIdentity::Subject(SubjectId::Organization("river-works".into()))
            && f.why[0].message.contains("has RepoBindings left and does not exist: ferry")
    });
    assert!(held, "{:#?}", subjects.failed);
}

#[test]
fn bindings_go_everywhere_unless_an_environment_asks_to_be_named() {
    let clusters = vec![cluster("prod", "harbour", true), cluster("sno", "quay", false)];
    let placed = |org: &str, tenant: &str| {
        let org = organization("river-works").replace("platform-system}", &format!("platform-system{org}}}"));
        let text = fleet(&[org, binding("ferry", "river-works/a", tenant)]);
        let subjects = resolve(&[("bindings/a.yaml", &text)], &clusters, &strict());
        assert!(subjects.failed.is_empty(), "{:?}", errors(&subjects));
        subjects.tenants["ferry"].placed_on.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let both = ", annotations: {hydrant.dev/environments: 'prod, sno'}";
    assert_eq!(placed("", ""), ["sno/quay"]);
    assert_eq!(placed(both, ""), ["sno/quay"]);
    assert_eq!(placed(both, both), ["prod/harbour", "sno/quay"]);
    assert_eq!(placed(both, ", annotations: {hydrant.dev/clusters: prod/harbour}"), ["prod/harbour"]);
}

#[test]
fn a_tunnel_runs_on_the_one_cluster_that_is_named() {
    let tunnel = ", annotations: {hydrant.dev/tunnel-id: 5d1f, hydrant.dev/tunnel-account: a1, hydrant.dev/tunnel-cluster: quay}";
    let org = organization("river-works").replace("platform-system}", &format!("platform-system{tunnel}}}"));
    let zoned =
        rules(&TenantSettings { webhook_zone: Some("hooks.example".into()), ..TenantSettings::default() });
    let subjects = resolve(&[("bindings/a.yaml", &org)], &two_clusters(), &zoned);
    assert!(subjects.failed.is_empty(), "{:?}", errors(&subjects));
    let org = &subjects.organizations["river-works"];
    assert_eq!(org.context.entry("tunnel")["cluster"], "quay");
    assert_eq!(org.context.entry("webhookUrl"), "https://river-works.hooks.example");
    assert_eq!(org.placed_on.len(), 2);
    let fleet_wide: Vec<&str> =
        org.claims.iter().filter(|c| c.scope == ClaimScope::Fleet).map(|c| c.what.as_str()).collect();
    assert_eq!(
        fleet_wide,
        ["organization name `river-works`", "tunnel id `5d1f`", "webhook host `river-works.hooks.example`"]
    );
}

#[test]
fn a_tunnel_and_an_ingress_host_never_share_a_host() {
    let tunnel = ", annotations: {hydrant.dev/clusters: quay, hydrant.dev/tunnel-id: 5d1f, hydrant.dev/tunnel-account: a1, hydrant.dev/webhook-host: in.hooks.example}";
    let org = organization("river-works").replace("platform-system}", &format!("platform-system{tunnel}}}"));
    let older = "apiVersion: aphex.io/v1alpha1\nkind: RepoBinding\nmetadata: {name: a}\nspec: {repoOrg: river-works, repoName: a, tenantName: a, ingressHost: in.hooks.example}\n";
    let subjects = resolve_text(&fleet(&[org, older.to_owned()]));
    assert!(subjects.organizations.is_empty() && subjects.tenants.is_empty());
    assert!(
        errors(&subjects).iter().all(|e| e.contains("webhook host `in.hooks.example` is claimed by")),
        "{:?}",
        errors(&subjects)
    );
}

#[test]
fn an_older_binding_gets_a_notice_that_shows_the_new_form_and_no_pipeline() {
    let subjects = resolve_fixtures();
    let tide = &subjects.tenants["tide"];
    let notice = tide.warnings.iter().find(|v| v.severity == Severity::Notice).expect("a notice");
    let hint = notice.hint.as_deref().expect("the new form");
    assert!(hint.contains("aphexOrg: river-works") && hint.contains("pipelineName: tide"), "{hint}");
    assert!(notice.message.contains("no Pipeline and no Trigger"));
    assert_eq!(tide.context.entry("pipeline"), &json!(null));
    assert_eq!(tide.id, SubjectId::Tenant { organization: "river-works".into(), tenant: "tide".into() });
    let locks = &subjects.tenants["locks"];
    assert_eq!(locks.context.entry("profile"), "elevated");
    assert!(
        locks.warnings[0]
            .hint
            .as_deref()
            .is_some_and(|h| h.contains("hydrant.dev/permission-profile: elevated"))
    );
    assert_eq!(subjects.tenants["weir"].context.entry("ownListener"), true);
    assert_eq!(tide.context.entry("ownListener"), false);
}

#[test]
fn an_older_api_group_is_read_with_a_notice() {
    let text = organization("river-works").replace("aphex.io", "platform.arbiter.io");
    let subjects = resolve_text(&text);
    assert!(subjects.organizations["river-works"].warnings[0].message.contains("is an older group"));
}

#[test]
fn braces_in_a_pipeline_spec_are_data() {
    let subjects = resolve_fixtures();
    let script = &subjects.tenants["ferry"].context.entry("pipeline")["spec"]["tasks"][0]["taskSpec"]["steps"]
        [0]["script"];
    assert_eq!(script, "echo \"$(params.git-revision) {{ not.a.template }} {% nor this %}\"\n");
}

#[test]
fn a_fault_in_a_pipeline_spec_has_the_line_of_the_file() {
    let bad = binding("ferry", "river-works/a", "").replace("kind: Pipeline", "kind: Task");
    let subjects = resolve_text(&bad);
    let v = subjects.failed.iter().flat_map(|f| &f.why).find(|v| v.message.contains("got Task")).expect("it");
    assert_eq!(v.at.as_ref().map(|a| a.line), Some(12));
}

#[test]
fn what_belongs_to_a_live_object_is_dropped_with_a_warning() {
    let text = organization("river-works").replace(
        "platform-system}",
        "platform-system, finalizers: [platform.aphex/organization-finalizer], uid: x}",
    ) + "status: {phase: Active}\n";
    let subjects = resolve_text(&text);
    let warnings = &subjects.organizations["river-works"].warnings;
    for key in ["status", "metadata.finalizers", "metadata.uid"] {
        assert!(
            warnings.iter().any(|w| w.severity == Severity::Warning && w.key.as_deref() == Some(key)),
            "{key}: {warnings:?}"
        );
    }
}

#[test]
fn a_plain_webhook_secret_is_refused_or_dropped_and_never_shown() {
    let secret = "correct-horse-battery";
    let text = organization("river-works") + &format!("  webhookSecret: {secret}\n");
    let refused = resolve_text(&text);
    assert!(refused.organizations.is_empty());
    assert!(!format!("{refused:?}").contains(secret));
    let dropping =
        rules(&TenantSettings { plain_webhook_secret: PlainSecret::Drop, ..TenantSettings::default() });
    let dropped = resolve(&[("bindings/a.yaml", &text)], &two_clusters(), &dropping);
    assert_eq!(dropped.organizations.len(), 1);
    assert!(!format!("{dropped:?}").contains(secret));
    let typed = organization("river-works") + "  webhookSecret: 1234567890123456789\n";
    assert!(
        !format!("{:?}", resolve_text(&typed)).contains("1234567890123456789"),
        "not even of the wrong type"
    );
}

#[test]
fn an_agent_is_left_out_with_a_warning() {
    let text = "apiVersion: aphex.io/v1alpha1\nkind: Agent\nmetadata: {name: a}\nspec: {}\n";
    let subjects = resolve_text(text);
    assert!(subjects.failed.is_empty() && subjects.notices[0].message.contains("renders no Agents"));
}

#[test]
fn the_order_of_files_changes_nothing() {
    let a = fleet(&[organization("river-works"), binding("ferry", "river-works/a", "")]);
    let b = fleet(&[binding("tide", "river-works/b", ""), binding("ferry", "river-works/c", "")]);
    let one = resolve(&[("bindings/a.yaml", &a), ("bindings/b.yaml", &b)], &two_clusters(), &strict());
    let two = resolve(&[("bindings/b.yaml", &b), ("bindings/a.yaml", &a)], &two_clusters(), &strict());
    assert_eq!(format!("{:?}", one.tenants), format!("{:?}", two.tenants));
    assert_eq!(
        one.failed.iter().map(|f| (&f.id, &f.at)).collect::<Vec<_>>(),
        two.failed.iter().map(|f| (&f.id, &f.at)).collect::<Vec<_>>()
    );
}

/// Returns the rows of all tables of docs/tenants.md, each as its cells.
fn table_rows() -> Vec<Vec<String>> {
    let docs = std::fs::read_to_string(project("docs/tenants.md")).expect("docs/tenants.md");
    docs.lines()
        .filter_map(|l| l.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|l| l.split(" | ").map(|cell| cell.trim_matches(['|', ' ']).to_owned()).collect())
        .collect()
}

fn stems(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(project(folder)).expect("a folder");
    entries
        .map(|e| e.expect("entry").path().file_stem().expect("name").to_string_lossy().into_owned())
        .collect()
}

#[test]
fn the_tables_in_the_docs_name_every_fixture_and_only_what_exists() {
    let docs = std::fs::read_to_string(project("docs/tenants.md")).expect("docs/tenants.md");
    let quoted: Vec<&str> = docs.split('`').skip(1).step_by(2).collect();
    for fixture in stems("fixtures/bindings/invalid") {
        let named = quoted.iter().any(|q| *q == fixture || *q == format!("invalid/{fixture}"));
        assert!(named, "docs/tenants.md does not name the fixture {fixture}");
    }
    for folder in ["valid", "objects", "made-by-teams"] {
        for fixture in stems(&format!("fixtures/bindings/{folder}")) {
            let name = format!("{folder}/{fixture}");
            assert!(quoted.contains(&name.as_str()), "docs/tenants.md does not name the fixture {name}");
        }
    }
    let folders = ["valid/", "invalid/", "objects/", "made-by-teams/"];
    for fixture in quoted.iter().filter(|q| folders.iter().any(|f| q.starts_with(f))) {
        assert!(
            project(&format!("fixtures/bindings/{fixture}.yaml")).is_file(),
            "there is no fixture {fixture}"
        );
    }
    let mut code = String::new();
    for file in
        std::fs::read_dir(project("tests/integration")).expect("tests").map(|e| e.expect("entry").path())
    {
        if file.is_file() {
            code += &std::fs::read_to_string(file).expect("a test file");
        }
    }
    let tests = quoted.iter().filter(|q| q.matches('_').count() >= 3 && !q.contains(['/', '<', '.']));
    let mut count = 0;
    for test in tests {
        assert!(code.contains(&format!("fn {test}()")), "there is no test {test}");
        count += 1;
    }
    assert!(count > 100, "only {count} tests are named");
}

/// Facts B: 16 resources of an organization, 17 and one of a tenant, and the rest by its number.
#[test]
fn every_resource_and_every_component_has_its_row() {
    let rows = table_rows();
    let mut wanted: Vec<String> = (1..=16).map(|n| format!("B1.{n}")).collect();
    wanted.extend((1..=17).map(|n| format!("B2.{n}")));
    wanted.extend(
        ["B2.1b", "B9", "B10", "B11", "B12", "(B3)", "(B4)", "(B5)", "(B6)", "(B7)", "(B8)"]
            .map(str::to_owned),
    );
    for id in wanted {
        let has = |row: &&Vec<String>| row[0].split(' ').any(|word| word == id);
        assert!(rows.iter().any(|r| has(&r)), "no row for {id}");
    }
    for n in 1..=9 {
        let id = format!("C{n}");
        assert!(rows.iter().any(|r| r[0].split([' ', ',']).any(|w| w == id)), "no row for {id}");
    }
    for component in stems("templates/tenants").into_iter().filter(|c| c != "dispatchers") {
        assert!(
            rows.iter().any(|r| r.len() > 1 && r[1] == format!("`{component}`")),
            "no row for {component}"
        );
    }
}

#[test]
fn each_of_the_thirty_defects_has_a_test_of_its_number_or_a_reason() {
    let rows = table_rows();
    for n in 1..=30 {
        let of_number =
            |row: &&Vec<String>| row.len() == 3 && row[0].split(' ').next() == Some(&n.to_string());
        let row = rows.iter().find(of_number).unwrap_or_else(|| panic!("no row for defect {n}"));
        let sound = row[2].starts_with(&format!("`defect_{n:02}_")) || row[2].starts_with("no test: ");
        assert!(sound, "defect {n}: {row:?}");
    }
    let mut own = std::fs::read_to_string(project("tests/integration/tenants_defects.rs")).expect("tests");
    own += &std::fs::read_to_string(project("tests/integration/tenants_commands.rs")).expect("tests");
    let docs = std::fs::read_to_string(project("docs/tenants.md")).expect("docs/tenants.md");
    for test in own
        .lines()
        .filter_map(|l| l.strip_prefix("fn ")?.strip_suffix("() {"))
        .filter(|t| t.starts_with("defect_"))
    {
        assert!(docs.contains(&format!("| `{test}` |")), "docs/tenants.md does not name {test}");
    }
}

/// Puts a value at every scalar of a document, one at a time.
fn each_scalar(value: &Value, with: &Value, visit: &mut dyn FnMut(&Value)) {
    fn paths(value: &Value, at: &str, out: &mut Vec<String>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(k, v)| {
                let key = k.replace('~', "~0").replace('/', "~1");
                paths(v, &format!("{at}/{key}"), out);
            }),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, v)| paths(v, &format!("{at}/{i}"), out));
            }
            _ => out.push(at.to_owned()),
        }
    }
    let mut all = Vec::new();
    paths(value, "", &mut all);
    for path in all {
        let mut changed = value.clone();
        if let Some(place) = changed.pointer_mut(&path) {
            *place = with.clone();
        }
        visit(&changed);
    }
}

#[test]
fn no_value_anywhere_in_a_binding_stops_the_others_or_the_program() {
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!(" "),
        json!("\u{0}"),
        json!("{{ 7 }}"),
        json!("../../etc"),
        json!("ünï.ç"),
        json!("🦀".repeat(100)),
        json!("a".repeat(10_000)),
        json!("-"),
        json!("a: [b"),
        json!([]),
        json!({"a": {"b": ["c"]}}),
    ];
    let good = organization("sea-works");
    let mut count = 0;
    for (name, text) in valid_fixtures() {
        for node in read(text.as_bytes(), &Limits::inputs()).expect("yaml") {
            let value = node.to_value(hydrant::yaml::Schema::Kubectl).expect("typed");
            for with in &odd {
                each_scalar(&value, with, &mut |changed| {
                    let text = hydrant::yaml::write(changed);
                    let files = [(name.as_str(), text.as_str()), ("bindings/good.yaml", good.as_str())];
                    let subjects = resolve(&files, &two_clusters(), &strict());
                    assert!(subjects.organizations.contains_key("sea-works"), "{text}");
                    for failed in &subjects.failed {
                        assert!(failed.why.iter().any(Violation::is_error), "a reason for {text}");
                    }
                    count += 1;
                });
            }
        }
    }
    assert!(count > 800, "only {count} bindings were tried");
}
