//! Compiles the contract in `proto/` without protoc.

use prost::Message;
use prost_types::{
    FileDescriptorProto, FileDescriptorSet, SourceCodeInfo, source_code_info::Location,
};
use std::{env, error::Error, fs, path::Path, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(&root, &root.join("scalekit"), &mut files)?;
    collect(&root, &root.join("keystead"), &mut files)?;
    files.sort();

    let mut resolver = protox::file::ChainFileResolver::new();
    resolver.add(protox::file::IncludeFileResolver::new(root));
    resolver.add(protox::file::GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(&files)?;

    let out = PathBuf::from(env::var("OUT_DIR")?);
    let set = FileDescriptorSet::decode(compiler.encode_file_descriptor_set().as_slice())?;
    fs::write(out.join("comments.bin"), comments(&set).encode_to_vec())?;
    // The embedded descriptors keep their options (as raw extensions). Their source locations would
    // be most of what a running server holds in memory, so only the comments are kept, apart.
    compiler.include_source_info(false);
    fs::write(
        out.join("descriptors.bin"),
        compiler.encode_file_descriptor_set(),
    )?;

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

/// The files with nothing but their leading comments and what these belong to.
fn comments(set: &FileDescriptorSet) -> FileDescriptorSet {
    let file = set.file.iter().map(|file| {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        let location = locations
            .filter(|location| location.leading_comments.is_some())
            .map(|location| Location {
                path: location.path.clone(),
                leading_comments: location.leading_comments.clone(),
                ..Location::default()
            });
        FileDescriptorProto {
            name: file.name.clone(),
            source_code_info: Some(SourceCodeInfo {
                location: location.collect(),
            }),
            ..FileDescriptorProto::default()
        }
    });
    FileDescriptorSet {
        file: file.collect(),
    }
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
