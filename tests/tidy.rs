//! The house rules that a reader can check without understanding the code.
//!
//! Which module may import which, where unsafe code may be, what the core must never name: the
//! compiler allows all of it, so these tests read the source tree. Comments, documentation and
//! strings are not code, and say what they like.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Which modules a module may import from this crate. Adapters stand at the top, and what stands
/// lower knows nothing of what stands higher.
const LAYERS: [(&str, &[&str]); 17] = [
    ("manual", &[]),
    (
        "test_util",
        &[
            "asynchronous",
            "blocking",
            "handshake",
            "connection",
            "message",
            "frame",
            "error",
        ],
    ),
    (
        "axum",
        &[
            "hyper",
            "tokio",
            "adapter",
            "handshake",
            "connection",
            "message",
            "frame",
            "error",
        ],
    ),
    (
        "hyper",
        &["tokio", "adapter", "handshake", "connection", "error"],
    ),
    ("tokio", &OF_ADAPTERS),
    ("futures_io", &OF_ADAPTERS),
    ("asynchronous", &OF_ADAPTERS),
    ("blocking", &OF_ADAPTERS),
    (
        "adapter",
        &[
            "tls",
            "handshake",
            "connection",
            "message",
            "frame",
            "error",
        ],
    ),
    ("tls", &[]),
    ("handshake", &["connection", "extension", "error"]),
    (
        "connection",
        &["frame", "utf8", "message", "extension", "error"],
    ),
    ("extension", &["frame", "error"]),
    ("message", &["frame"]),
    ("frame", &["error"]),
    ("utf8", &["error"]),
    ("error", &[]),
];

/// What an adapter may import.
const OF_ADAPTERS: [&str; 8] = [
    "asynchronous",
    "adapter",
    "tls",
    "handshake",
    "connection",
    "message",
    "frame",
    "error",
];

/// The modules that hold a stream or a clock.
const ADAPTERS: [&str; 8] = [
    "adapter",
    "asynchronous",
    "axum",
    "blocking",
    "futures_io",
    "hyper",
    "tls",
    "tokio",
];

/// What is for tests: it holds a stream and a clock, and is no adapter.
const TEST_UTIL: &str = "test_util";

/// What an adapter may know of frames: why a connection closes.
const FRAME_NAMES_OF_ADAPTERS: [&str; 2] = ["CloseCode", "CloseFrame"];

/// The files that may hold unsafe code.
const UNSAFE_ALLOWED: [&str; 3] = [
    "frame/mask/x86_64.rs",
    "message.rs",
    "connection/recv_buffer.rs",
];

/// Casts to `usize` that lose nothing, because what they cast is a byte.
const LOSSLESS_CASTS: [&str; 1] = ["(received % 4).to_le_bytes()[0] as usize"];

#[test]
fn nothing_below_the_adapters_performs_io_or_reads_a_clock() {
    let mut faults = Faults::default();
    for file in source_files() {
        if file.is_adapter() || file.layer() == Some(TEST_UTIL) {
            continue;
        }
        for path in file.paths() {
            let names: Vec<_> = path.names.iter().map(String::as_str).collect();
            let is_fault = match names[..] {
                // `core::net` is addresses, which are values.
                ["std", "io" | "net" | "thread", ..] => true,
                ["tokio" | "rustls" | "tokio_rustls" | "mio", ..] => true,
                [.., "Instant", "now"] => true,
                _ => names.contains(&"SystemTime"),
            };
            if is_fault {
                faults.add(&file, path.line, &format!("names {}", names.join("::")));
            }
        }
    }
    faults.assert_none();
}

#[test]
fn imports_go_down_the_layers() {
    let mut faults = Faults::default();
    for file in source_files() {
        let Some(layer) = file.layer() else { continue };
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            faults.add(&file, 1, "is in no layer: say in LAYERS what it may import");
            continue;
        };
        for path in file.paths() {
            if file.is_test_code(path.line) {
                continue;
            }
            let Some(names) = file.resolve(&path.names) else {
                continue;
            };
            let Some((module, rest)) = names.split_first() else {
                faults.add(&file, path.line, "imports all of the crate");
                continue;
            };
            if module == layer {
                continue;
            }
            if !LAYERS.iter().any(|(name, _)| name == module) {
                let text = format!("imports {module} from lib.rs, not from its module");
                faults.add(&file, path.line, &text);
            } else if !allowed.contains(&module.as_str()) {
                faults.add(&file, path.line, &format!("imports from {module}"));
            } else if file.is_adapter()
                && module == "frame"
                && !rest
                    .first()
                    .is_some_and(|name| FRAME_NAMES_OF_ADAPTERS.contains(&name.as_str()))
            {
                let text = format!("imports frame::{}", rest.join("::"));
                faults.add(&file, path.line, &text);
            }
        }
    }
    faults.assert_none();
}

#[test]
fn unsafe_code_is_only_where_it_may_be_and_says_why_it_is_sound() {
    let mut faults = Faults::default();
    for file in source_files() {
        for token in file.tokens.iter().filter(|token| token.text == "unsafe") {
            if !UNSAFE_ALLOWED.contains(&file.name.as_str()) {
                faults.add(&file, token.line, "unsafe code");
            }
            if !file.has_safety_comment(token.line) {
                faults.add(
                    &file,
                    token.line,
                    "unsafe code without a `// SAFETY:` comment above it",
                );
            }
        }
    }
    faults.assert_none();
}

#[test]
fn every_file_begins_with_what_it_is() {
    let mut faults = Faults::default();
    let root = root();
    for directory in ["src", "tests", "examples", "benches"] {
        for file in rust_files(&root.join(directory)) {
            if !file.text.starts_with("//! ") {
                faults.add(&file, 1, "does not begin with a `//!` comment");
            }
        }
    }
    faults.assert_none();
}

#[test]
fn comments_wrap_at_100() {
    let mut faults = Faults::default();
    let root = root();
    for directory in ["src", "tests", "examples", "benches"] {
        for file in rust_files(&root.join(directory)) {
            for (index, line) in file.text.lines().enumerate() {
                let Some((_, comment)) = line.trim_start().split_once(' ') else {
                    continue;
                };
                // A table is as wide as it is, and a link cannot be broken.
                let can_wrap = !comment.starts_with('|') && comment.contains(' ');
                if line.trim_start().starts_with("//") && can_wrap && line.chars().count() > 100 {
                    faults.add(&file, index + 1, "is longer than 100 characters");
                }
            }
        }
    }
    faults.assert_none();
}

#[test]
fn nothing_is_left_to_do_and_nothing_is_printed() {
    let mut faults = Faults::default();
    for file in source_files() {
        for pair in file.tokens.windows(2) {
            let is_fault = matches!(
                pair[0].text.as_str(),
                "todo" | "unimplemented" | "dbg" | "print" | "println" | "eprint" | "eprintln"
            );
            if is_fault && pair[1].text == "!" {
                faults.add(&file, pair[0].line, &format!("{}!", pair[0].text));
            }
        }
    }
    faults.assert_none();
}

#[test]
fn a_file_is_one_idea() {
    let mut faults = Faults::default();
    for file in source_files() {
        let lines = file.text.lines().count();
        let own = file.first_test_line.map_or(lines, |line| line - 1);
        if lines > 600 && own > 500 {
            let text = format!("{lines} lines, {own} of them outside tests");
            faults.add(&file, 1, &text);
        }
    }
    faults.assert_none();
}

#[test]
fn lengths_are_compared_before_they_are_narrowed() {
    let mut faults = Faults::default();
    for file in source_files() {
        for pair in file.tokens.windows(2) {
            let line = file.text.lines().nth(pair[0].line - 1).unwrap_or_default();
            if pair[0].text == "as"
                && pair[1].text == "usize"
                && !file.is_test_code(pair[0].line)
                && !LOSSLESS_CASTS.iter().any(|cast| line.contains(cast))
            {
                faults.add(&file, pair[0].line, "`as usize`: narrow with `try_from`");
            }
        }
    }
    faults.assert_none();
}

#[test]
fn these_tests_see_code_and_nothing_else() {
    let text = r##"//! std::io in a doc.
        use std::{io, net::{TcpStream, Shutdown as How}, time::*}; // unsafe
        /* tokio::spawn /* nested */ unsafe */
        fn lifetime<'a>(text: &'a str) -> char { let _ = "unsafe \" std::io"; '"' }
        const RAW: &str = r#"unsafe " crate::x"#; const ESCAPED: char = '\''; const B: u8 = b'\\';
        fn f() { crate::a::b::<u8>(); super::c(); Instant::now(); x.unsafe_code() }
        #[cfg(test)]
        mod tests {}
    "##;
    let file = SourceFile::new("connection/sender.rs".into(), text.into());
    let paths: Vec<_> = file
        .paths()
        .iter()
        .map(|path| path.names.join("::"))
        .collect();
    assert_eq!(
        paths,
        [
            "std::io",
            "std::net::TcpStream",
            "std::net::Shutdown",
            "std::time::*",
            "crate::a::b",
            "super::c",
            "Instant::now",
        ]
    );
    assert!(!file.tokens.iter().any(|token| token.text == "unsafe"));
    assert_eq!(file.layer(), Some("connection"));
    assert_eq!(file.first_test_line, Some(7));
    let names = ["super", "super", "frame"].map(str::to_owned);
    assert_eq!(file.resolve(&names), Some(vec!["frame".to_owned()]));
    let names = ["std", "io"].map(str::to_owned);
    assert_eq!(file.resolve(&names), None);
}

// -- Rig: the source tree -------------------------------------------------------------------------

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Reads all files of the library.
fn source_files() -> Vec<SourceFile> {
    let files = rust_files(&root().join("src"));
    assert!(files.len() > 20, "the library has more files than that");
    files
}

/// Reads the Rust files of a directory and of those in it, named by their path from there.
fn rust_files(directory: &Path) -> Vec<SourceFile> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(current) = directories.pop() {
        // A directory that is not there has no files.
        for entry in fs::read_dir(&current).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                // What tools put there is not ours.
                if name != "target" && name != "node_modules" && !name.starts_with('.') {
                    directories.push(path);
                }
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(&path).unwrap();
                let name = path.strip_prefix(directory).unwrap();
                let name = name.to_string_lossy().replace('\\', "/");
                files.push(SourceFile::new(name, text));
            }
        }
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    files
}

/// What breaks a rule.
#[derive(Default)]
struct Faults {
    text: String,
}

impl Faults {
    fn add(&mut self, file: &SourceFile, line: usize, fault: &str) {
        // Writing into a `String` cannot fail.
        let _ = writeln!(self.text, "{}:{line}: {fault}", file.name);
    }

    fn assert_none(&self) {
        assert!(self.text.is_empty(), "\n{}", self.text);
    }
}

/// A file, and the code in it.
struct SourceFile {
    name: String,
    text: String,
    tokens: Vec<Token>,
    /// Where `mod tests` begins, which is last in its file.
    first_test_line: Option<usize>,
}

#[derive(Debug)]
struct Token {
    text: String,
    line: usize,
}

/// A path in the code; of a group of imports, one for each name.
#[derive(Debug)]
struct CodePath {
    names: Vec<String>,
    line: usize,
}

impl SourceFile {
    fn new(name: String, text: String) -> Self {
        let tokens = tokens_of(&text);
        let first_test_line = tokens
            .windows(7)
            .find(|window| {
                let texts: Vec<_> = window.iter().map(|token| token.text.as_str()).collect();
                texts == ["#", "[", "cfg", "(", "test", ")", "]"]
            })
            .map(|window| window[0].line);
        Self {
            name,
            text,
            tokens,
            first_test_line,
        }
    }

    /// Returns the module of the crate that the file belongs to; `None` for its root.
    fn layer(&self) -> Option<&str> {
        match self.name.split_once('/') {
            Some((module, _)) => Some(module),
            None => self.name.strip_suffix(".rs").filter(|name| *name != "lib"),
        }
    }

    fn is_adapter(&self) -> bool {
        self.layer().is_some_and(|layer| ADAPTERS.contains(&layer))
    }

    fn is_test_code(&self, line: usize) -> bool {
        self.first_test_line.is_some_and(|first| line >= first)
    }

    /// Returns all paths of two names and more.
    fn paths(&self) -> Vec<CodePath> {
        let mut paths = Vec::new();
        let mut index = 0;
        while let Some(token) = self.tokens.get(index) {
            let next = self.tokens.get(index + 1);
            if is_name(&token.text) && next.is_some_and(|next| next.text == "::") {
                index = self.collect_paths(index, &[], &mut paths);
            } else {
                index += 1;
            }
        }
        paths
    }

    /// Collects the path that goes on at a name, and returns where it ends.
    fn collect_paths(&self, start: usize, prefix: &[String], paths: &mut Vec<CodePath>) -> usize {
        let mut names = prefix.to_vec();
        names.push(self.tokens[start].text.clone());
        let text = |index: usize| {
            self.tokens
                .get(index)
                .map_or("", |token| token.text.as_str())
        };
        let next = start + 1;
        if text(next) == "::" && (is_name(text(next + 1)) || text(next + 1) == "*") {
            return self.collect_paths(next + 1, &names, paths);
        }
        if text(next) == "::" && text(next + 1) == "{" {
            let mut index = next + 2;
            while text(index) != "}" && !text(index).is_empty() {
                if is_name(text(index)) || text(index) == "*" {
                    index = self.collect_paths(index, &names, paths);
                    // What a name is called from here on is no part of its path.
                    while text(index) != "," && text(index) != "}" && !text(index).is_empty() {
                        index += 1;
                    }
                } else {
                    index += 1;
                }
            }
            return index + 1;
        }
        let line = self.tokens[start].line;
        paths.push(CodePath { names, line });
        next
    }

    /// Returns a path from the root of the crate; `None` if it leads elsewhere.
    fn resolve(&self, names: &[String]) -> Option<Vec<String>> {
        let mut module: Vec<String> = self
            .name
            .trim_end_matches(".rs")
            .trim_end_matches("/mod")
            .split('/')
            .map(str::to_owned)
            .collect();
        let mut rest = names;
        match rest.first()?.as_str() {
            "crate" => {
                module.clear();
                rest = &rest[1..];
            }
            "super" => {
                while rest.first().is_some_and(|name| name == "super") {
                    module.pop();
                    rest = &rest[1..];
                }
            }
            _ => return None,
        }
        module.extend(rest.iter().filter(|name| *name != "*").cloned());
        Some(module)
    }

    /// Whether the comment above a line, or above the statement that goes on in it, says why it is
    /// sound.
    fn has_safety_comment(&self, line: usize) -> bool {
        let lines: Vec<_> = self.text.lines().map(str::trim_start).collect();
        let mut above = line - 1;
        // A statement may begin a line or two before the word.
        while above > 0 && line - above <= 2 && !lines[above - 1].starts_with("//") {
            above -= 1;
        }
        lines[..above]
            .iter()
            .rev()
            .take_while(|line| line.starts_with("//"))
            .any(|line| line.starts_with("// SAFETY:") || line.starts_with("/// # Safety"))
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Splits code into names, `::`, and single characters, without comments and literals.
fn tokens_of(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let (mut index, mut line) = (0, 1);
    while index < chars.len() {
        let start = index;
        match at(index) {
            '/' if at(index + 1) == '/' => {
                while index < chars.len() && at(index) != '\n' {
                    index += 1;
                }
            }
            '/' if at(index + 1) == '*' => {
                let mut depth = 0;
                loop {
                    if at(index) == '/' && at(index + 1) == '*' {
                        depth += 1;
                        index += 2;
                    } else if at(index) == '*' && at(index + 1) == '/' {
                        depth -= 1;
                        index += 2;
                    } else {
                        index += 1;
                    }
                    if depth == 0 || index >= chars.len() {
                        break;
                    }
                }
            }
            '"' => index = end_of_string(&chars, index),
            // A character, unless it is a lifetime.
            '\'' if at(index + 1) == '\\' => {
                index += 3;
                while index < chars.len() && at(index) != '\'' {
                    index += 1;
                }
                index += 1;
            }
            '\'' if at(index + 2) == '\'' => index += 3,
            first if first.is_alphanumeric() || first == '_' => {
                while at(index).is_alphanumeric() || at(index) == '_' {
                    index += 1;
                }
                let name: String = chars[start..index].iter().collect();
                let is_raw = matches!(name.as_str(), "r" | "br" | "cr");
                if is_raw && (at(index) == '"' || (at(index) == '#' && at(index + 1) != '[')) {
                    index = end_of_raw_string(&chars, index);
                } else {
                    tokens.push(Token { text: name, line });
                }
            }
            ':' if at(index + 1) == ':' => {
                index += 2;
                let text = "::".to_owned();
                tokens.push(Token { text, line });
            }
            other => {
                index += 1;
                if !other.is_whitespace() {
                    let text = other.to_string();
                    tokens.push(Token { text, line });
                }
            }
        }
        line += chars[start..index.min(chars.len())]
            .iter()
            .filter(|&&char| char == '\n')
            .count();
    }
    tokens
}

fn end_of_string(chars: &[char], quote: usize) -> usize {
    let mut index = quote + 1;
    while index < chars.len() && chars[index] != '"' {
        index += if chars[index] == '\\' { 2 } else { 1 };
    }
    index + 1
}

fn end_of_raw_string(chars: &[char], start: usize) -> usize {
    let hashes = chars[start..]
        .iter()
        .take_while(|&&char| char == '#')
        .count();
    let mut index = start + hashes + 1;
    while index < chars.len() {
        let closes = chars[index] == '"'
            && chars[index + 1..]
                .iter()
                .take(hashes)
                .filter(|&&char| char == '#')
                .count()
                == hashes;
        if closes {
            return index + 1 + hashes;
        }
        index += 1;
    }
    index
}
