//! Lists `migrations/{sqlite,postgres}/NNNN_what.sql`, so that adding one means adding two files.

use std::{collections::BTreeMap, env, error::Error, fmt::Write, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=migrations");
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("migrations");
    let sqlite = files(&root.join("sqlite"))?;
    let postgres = files(&root.join("postgres"))?;
    if !sqlite.keys().eq(postgres.keys()) {
        return Err(
            "every migration needs a file of the same name in sqlite/ and postgres/".into(),
        );
    }
    let mut numbers: Vec<&str> = sqlite.keys().filter_map(|name| name.get(..4)).collect();
    numbers.dedup();
    if numbers.len() != sqlite.len() {
        return Err("two migrations have the same number".into());
    }
    let mut list = String::from("&[\n");
    for (name, path) in &sqlite {
        let version: u32 = name.get(..4).unwrap_or_default().parse()?;
        let what = name.get(5..).unwrap_or_default();
        let other = postgres.get(name).map_or("", String::as_str);
        writeln!(
            list,
            "Migration {{ version: {version}, name: {what:?}, sqlite: include_str!({path:?}), postgres: include_str!({other:?}) }},"
        )?;
    }
    list.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("migrations.rs"), list)?;
    Ok(())
}

/// Paths of the `.sql` files of a folder by their name without the ending.
fn files(folder: &Path) -> Result<BTreeMap<String, String>, Box<dyn Error>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "sql") {
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            found.insert(name, path.to_string_lossy().into_owned());
        }
    }
    Ok(found)
}
