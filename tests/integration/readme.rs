//! What the README and docs/cli.md say about the command line is what the binary does.
//!
//! `HYDRANT_BLESS=1 cargo test help_pages` writes the help pages into docs/cli.md.

use super::common::{hydrant, project};
use clap::CommandFactory as _;
use hydrant::cli::Cli;
use hydrant::error::ErrorKind;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const HELP_BEGINS: &str = "<!-- Help pages: HYDRANT_BLESS=1 cargo test help_pages -->\n";

fn read(path: &str) -> String {
    fs::read_to_string(project(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Returns the lines of the fenced blocks of a Markdown text, by the block's language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|l| !l.starts_with("```")).collect();
            if name == language {
                found.push(block.join("\n"));
            }
        }
    }
    found
}

/// Returns the commands that call hydrant, each as its arguments.
fn calls(text: &str) -> Vec<Vec<String>> {
    let words = |rest: &str| rest.split_whitespace().map(|w| w.trim_matches('\'').to_owned()).collect();
    ["sh", "console"]
        .iter()
        .flat_map(|language| blocks(text, language))
        .flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|line| {
            let line = line.strip_prefix("$ ").unwrap_or(&line);
            let line = line.split(" #").next().unwrap_or(line).split(" | ").next().unwrap_or(line);
            let rest = line
                .strip_prefix("cargo run --release -- ")
                .or_else(|| line.strip_prefix("hydrant "))
                .or_else(|| line.strip_prefix("target/release/hydrant "))?;
            Some(words(rest))
        })
        .collect()
}

#[test]
fn the_readme_has_exactly_the_two_commands_of_a_quick_start() {
    let readme = read("README.md");
    let quick_start = readme.split("\n## ").find(|s| s.starts_with("Quick start")).expect("a quick start");
    assert_eq!(
        blocks(quick_start, "sh").join("\n").lines().collect::<Vec<_>>(),
        [
            "cargo run --release -- run --once --fleet fixtures/fleets/quickstart --repo ./gitops.git",
            "cargo test",
        ]
    );
}

#[test]
fn the_first_command_makes_the_commit_that_the_readme_shows() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = project("fixtures/fleets/quickstart");
    let repo = folder.path().join("gitops.git");
    let args = ["run", "--once", "--fleet", fleet.to_str().unwrap(), "--repo", repo.to_str().unwrap()];
    let first = hydrant(&args).run().exits(0);
    let shown = blocks(&read("README.md"), "console").join("\n");
    // Commit ids and the folder differ on each machine; the lines about clusters do not.
    for line in first.stdout.lines().filter(|l| l.contains(" added, ")) {
        assert!(shown.contains(line), "README's transcript lacks: {line}");
    }
    assert!(first.stdout.contains("created the bare repository"), "{}", first.stdout);
    hydrant(&args).run().exits(0).shows("nothing to commit");
}

#[test]
fn every_command_in_the_documents_is_one_that_the_binary_takes() {
    let mut seen = 0;
    for file in markdown() {
        for call in calls(&read(&file)) {
            let args = ["hydrant".to_owned()].into_iter().chain(call.clone());
            if let Err(error) = <Cli as clap::Parser>::try_parse_from(args) {
                let fine = [clap::error::ErrorKind::DisplayHelp, clap::error::ErrorKind::DisplayVersion];
                assert!(fine.contains(&error.kind()), "{file}: hydrant {}\n{error}", call.join(" "));
            }
            seen += 1;
        }
    }
    assert!(seen > 5, "the documents show {seen} calls");
}

#[test]
fn links_between_documents_lead_to_files() {
    for file in markdown() {
        let text = read(&file);
        let folder = Path::new(&file).parent().unwrap_or(Path::new(""));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or(link);
            if path.is_empty() || path.contains("://") || path.contains(' ') {
                continue;
            }
            assert!(project("").join(folder).join(path).exists(), "{file} links to {path}, which is missing");
        }
    }
}

fn markdown() -> Vec<String> {
    let docs = fs::read_dir(project("docs")).unwrap().map(|e| e.unwrap().file_name());
    let docs = docs.map(|name| format!("docs/{}", name.to_str().unwrap()));
    ["README.md".to_owned()].into_iter().chain(docs.filter(|f| f.ends_with(".md"))).collect()
}

#[test]
fn the_help_pages_in_the_documents_are_those_of_the_binary() {
    let mut pages = String::new();
    help(&Cli::command(), &mut Vec::new(), &mut pages);
    let text = read("docs/cli.md");
    let (before, shown) = text.split_once(HELP_BEGINS).expect("docs/cli.md says where the help pages begin");
    if std::env::var_os("HYDRANT_BLESS").is_some() {
        fs::write(project("docs/cli.md"), format!("{before}{HELP_BEGINS}{pages}")).unwrap();
        return;
    }
    let differs = shown.lines().zip(pages.lines()).find(|(a, b)| a != b);
    assert!(
        shown == pages,
        "docs/cli.md is not what `--help` prints (first difference: {differs:?});\n\
         run HYDRANT_BLESS=1 cargo test help_pages"
    );
}

/// Adds the help of a command and of all commands below it.
fn help(command: &clap::Command, path: &mut Vec<String>, pages: &mut String) {
    let args: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    // The pages show what a variable holds, and the tests' own cache folder differs each time.
    let text = hydrant(&args).env("HYDRANT_CACHE", "").run().exits(0).stdout;
    let text: String = text.lines().map(|l| format!("{}\n", l.trim_end())).collect();
    let name: String =
        ["hydrant"].into_iter().chain(path.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    pages.push_str(&format!("\n## {name}\n```text\n{text}```\n"));
    for below in command.get_subcommands().filter(|c| c.get_name() != "help") {
        path.push(below.get_name().to_owned());
        help(below, path, pages);
        path.pop();
    }
}

#[test]
fn the_documents_list_every_exit_code() {
    let text = read("docs/cli.md");
    let table: BTreeSet<u8> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter_map(|row| row.split(' ').next()?.parse().ok())
        .collect();
    assert_eq!(table, BTreeSet::from([0, 1, 2, 3, 4, 5, 70]));
    for kind in [ErrorKind::Input, ErrorKind::External, ErrorKind::Guard, ErrorKind::Internal] {
        assert!(table.contains(&kind.exit_code()), "{kind:?}");
    }
}
