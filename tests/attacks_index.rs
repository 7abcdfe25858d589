//! ATTACKS.md says which test is for which attack and for which limit: here it is kept honest.
//!
//! Each test that it names exists, each line of its tables names one or says why there is none, and
//! no test of the files that it is the index of is left out.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What the names of the files begin with whose tests are all in the index.
const INDEXED: [&str; 3] = ["attacks_", "limits", "injection"];

/// What a line says that names no test.
const EXCUSE: &str = "Does not apply: ";

#[test]
fn every_test_that_the_index_names_exists() {
    let tests = tests();
    let named = named();
    assert!(
        named.len() > 150,
        "{} names are too few to be all",
        named.len()
    );
    let missing: Vec<_> = named.difference(&tests).collect();
    assert!(missing.is_empty(), "no such test: {missing:#?}");
}

#[test]
fn every_line_of_the_index_names_a_test_or_says_why_there_is_none() {
    let index = index();
    let rows: Vec<_> = index
        .lines()
        .filter(|line| line.starts_with("| "))
        .collect();
    assert!(
        rows.len() > 100,
        "{} lines are too few to be all",
        rows.len()
    );
    let mut columns = 0;
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        if cells
            .iter()
            .any(|cell| cell.starts_with("Test") || cell.starts_with("From "))
        {
            columns = cells.len();
            continue;
        }
        assert_eq!(cells.len(), columns, "{row}");
        // The first column of a limit, and the first two of an advisory, are its name.
        let is_limit = index[..offset_of(row, &index)].contains("## Limits");
        let answers = if is_limit {
            &cells[1..]
        } else {
            &cells[cells.len() - 1..]
        };
        for answer in answers {
            let is_answered = !names_in(answer).is_empty() || answer.starts_with(EXCUSE);
            assert!(is_answered, "{row}");
        }
    }
}

#[test]
fn every_test_of_an_attack_or_a_limit_is_in_the_index() {
    let named = named();
    let left_out: Vec<_> = tests()
        .into_iter()
        .filter(|test| INDEXED.iter().any(|start| test.starts_with(start)))
        .filter(|test| !test.starts_with("attacks_index::"))
        .filter(|test| !named.contains(test))
        .collect();
    assert!(left_out.is_empty(), "left out: {left_out:#?}");
}

/// The tests that the index names.
fn named() -> BTreeSet<String> {
    index().lines().flat_map(names_in).collect()
}

/// The tests that a piece of the index names: what stands between backticks and has a path.
fn names_in(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    let paths = quoted.filter(|name| name.contains("::"));
    paths.map(str::to_owned).collect()
}

fn index() -> String {
    fs::read_to_string(directory().join("ATTACKS.md")).expect("the index")
}

/// Where in a text a part of it stands.
fn offset_of(part: &str, text: &str) -> usize {
    part.as_ptr().addr() - text.as_ptr().addr()
}

/// All integration tests, as `file::name` or `file::module::name`.
fn tests() -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for entry in fs::read_dir(directory()).expect("the directory of the tests") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("a source in UTF-8");
            let file = path.file_stem().expect("a name").to_string_lossy();
            tests.extend(tests_in(&file, &source));
        }
    }
    tests
}

/// The functions of a source that have the attribute of a test. A module is one whose line begins
/// with `mod` and whose lines are indented.
fn tests_in(file: &str, source: &str) -> Vec<String> {
    let mut tests = Vec::new();
    let mut module = None;
    let mut is_test = false;
    for line in source.lines() {
        let code = line.trim_start();
        match line
            .strip_prefix("mod ")
            .and_then(|rest| rest.strip_suffix(" {"))
        {
            Some(name) => module = Some(name),
            None if line == "}" => module = None,
            None => {}
        }
        if code == "#[test]" || code.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(name) = code.trim_start_matches("async ").strip_prefix("fn ") {
            let name = name.split(['(', '<']).next().unwrap_or_default();
            if is_test {
                let path = [Some(file), module, Some(name)];
                tests.push(path.into_iter().flatten().collect::<Vec<_>>().join("::"));
            }
            is_test = false;
        }
    }
    tests
}

fn directory() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"))
}

#[test]
fn the_rig_finds_what_is_a_test_and_nothing_else() {
    let source = "#[test]\nfn one() {\n}\nfn none() {\n}\n#[tokio::test(start_paused = true)]\n\
                  async fn two() {\n}\nproptest! {\n    #[test]\n    fn three(a in b) {\n    }\n}\n\
                  mod inner {\n    #[test]\n    fn four() {\n    }\n}\n#[test]\nfn five() {\n}\n";
    let found = tests_in("file", source);
    let names = ["one", "two", "three", "inner::four", "five"];
    assert_eq!(found, names.map(|name| format!("file::{name}")));
    assert_eq!(names_in("`a`, `b::c`, d::e"), ["b::c"]);
}
