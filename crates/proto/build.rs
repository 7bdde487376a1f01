//! Compiles the contract in `proto/` without protoc.

use prost::Message;
use prost_types::FileDescriptorSet;
use std::{env, error::Error, fs, path::Path, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(&root, &root.join("scalekit"), &mut files)?;
    files.sort();

    let mut resolver = protox::file::ChainFileResolver::new();
    resolver.add(protox::file::IncludeFileResolver::new(root));
    resolver.add(protox::file::GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(&files)?;

    // The embedded descriptors keep their options (as raw extensions) and the doc comments: the
    // OpenAPI document is generated from them.
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(
        out.join("descriptors.bin"),
        compiler.encode_file_descriptor_set(),
    )?;

    let set = FileDescriptorSet::decode(compiler.encode_file_descriptor_set().as_slice())?;
    // The wrapper types are generated (one method answers a bare BoolValue); the others are prost's.
    let mut builder = tonic_prost_build::configure().compile_well_known_types(true);
    for name in [
        "Any",
        "Duration",
        "FieldMask",
        "ListValue",
        "NullValue",
        "Struct",
        "Timestamp",
        "Value",
    ] {
        builder = builder.extern_path(
            format!(".google.protobuf.{name}"),
            format!("::prost_types::{name}"),
        );
    }
    builder
        .extern_path(".google.protobuf.Empty", "()")
        .generate_default_stubs(true)
        .build_transport(false)
        .include_file("contract.rs")
        .compile_fds(set)?;
    Ok(())
}

/// Lists the `.proto` files below `folder`, relative to `root`.
fn collect(root: &Path, folder: &Path, files: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if path.extension().is_some_and(|ext| ext == "proto") {
            files.push(path.strip_prefix(root)?.display().to_string());
        }
    }
    Ok(())
}
