//! Compiles the server on uWebSockets, if the feature of that name asks for it.
//!
//! Its sources come with a crate of bindings, which is never built: the bindings would ask for
//! libclang, and a server of C++ needs none.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SERVER}");
    if env::var_os("CARGO_FEATURE_UWEBSOCKETS").is_none() {
        return Ok(());
    }
    let sources = sources()?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
    let objects = compile_sockets(&sources, &out)?;
    let server = out.join("uwebsockets");
    let mut compiler = compiler("CXX", "c++", &sources);
    compiler.args(["-std=c++20", "-DUWS_NO_ZLIB", "-I"]);
    compiler.arg(sources.join("src")).arg(SERVER).args(objects);
    run(compiler.arg("-o").arg(&server))?;
    println!("cargo::rustc-env=UWEBSOCKETS={}", server.display());
    Ok(())
}

/// Compiles uSockets, which uWebSockets is built on, for epoll.
fn compile_sockets(sources: &Path, out: &Path) -> Outcome<Vec<PathBuf>> {
    let folder = sources.join("uSockets/src");
    let mut files = vec![folder.join("eventing/epoll_kqueue.c")];
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            files.push(path);
        }
    }
    let mut objects = Vec::new();
    for file in files {
        let name = file.file_stem().ok_or("a source without a name")?;
        let object = out.join(name).with_extension("o");
        let mut compiler = compiler("CC", "cc", sources);
        run(compiler
            .args(["-std=c11", "-c"])
            .arg(&file)
            .arg("-o")
            .arg(&object))?;
        objects.push(object);
    }
    Ok(objects)
}

/// A compiler with what all files need, and as fast as its makefile would have it.
fn compiler(variable: &str, default: &str, sources: &Path) -> Command {
    let program = env::var_os(variable).unwrap_or_else(|| default.into());
    let mut compiler = Command::new(program);
    compiler.args([
        "-O3",
        "-flto",
        "-march=native",
        "-w",
        "-DLIBUS_NO_SSL",
        "-I",
    ]);
    compiler.arg(sources.join("uSockets/src"));
    compiler
}

/// Finds the sources of uWebSockets, which cargo downloads if need be.
fn sources() -> Outcome<PathBuf> {
    let cargo = env::var_os("CARGO").ok_or("no CARGO")?;
    let output = Command::new(cargo)
        .args(["metadata", "--locked", "--format-version", "1"])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().ok_or("no packages")?;
    let bindings = packages.iter().find(|it| it["name"] == BINDINGS);
    let manifest = bindings.and_then(|it| it["manifest_path"].as_str());
    let folder = manifest.and_then(|it| Path::new(it).parent());
    let folder = folder.ok_or_else(|| format!("no package {BINDINGS}"))?;
    Ok(folder.join("uWebSockets"))
}

fn run(command: &mut Command) -> Outcome<()> {
    match command.status()? {
        status if status.success() => Ok(()),
        status => Err(format!("{command:?}: {status}").into()),
    }
}

const BINDINGS: &str = "libuwebsockets-sys";
const SERVER: &str = "src/servers/uwebsockets/server.cpp";
