//! Lists `migrations/{sqlite,postgres}/NNNN_what.sql`, so that adding one means adding two files.

use std::{collections::BTreeSet, env, error::Error, fmt::Write, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=migrations");
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("migrations");
    let sqlite = names(&root.join("sqlite"))?;
    let postgres = names(&root.join("postgres"))?;
    if sqlite != postgres {
        return Err(
            "every migration needs a file of the same name in sqlite/ and postgres/".into(),
        );
    }
    let mut numbers: Vec<&str> = sqlite.iter().filter_map(|name| name.get(..4)).collect();
    numbers.dedup();
    if numbers.len() != sqlite.len() {
        return Err("two migrations have the same number".into());
    }
    let mut list = String::from("&[\n");
    for name in &sqlite {
        let version: u32 = name.get(..4).unwrap_or_default().parse()?;
        let what = name.get(5..).unwrap_or_default();
        writeln!(
            list,
            "Migration {{ version: {version}, name: {what:?}, sqlite: {}, postgres: {} }},",
            include("sqlite", name),
            include("postgres", name),
        )?;
    }
    list.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("migrations.rs"), list)?;
    Ok(())
}

/// Relative to the package, as a target folder may be shared by several checkouts.
fn include(engine: &str, name: &str) -> String {
    format!(
        "include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/migrations/{engine}/{name}.sql\"))"
    )
}

/// Names of the `.sql` files of a folder, without the ending.
fn names(folder: &Path) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "sql") {
            found.insert(
                path.file_stem()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
            );
        }
    }
    Ok(found)
}
