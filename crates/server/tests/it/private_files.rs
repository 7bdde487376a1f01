//! Files with secrets that other users of the machine can read.

use crate::serve::Site;
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
};

/// SECURITY: a root key that everybody can read makes the encryption of the database worthless.
#[test]
fn serve_and_doctor_refuse_secrets_that_others_can_read() {
    for (name, what) in [
        ("root.key", "the root key"),
        ("keystead.toml", "the configuration"),
    ] {
        let site = Site::new(None, "");
        let path = site.folder.path().join(name);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let to_do = format!("has mode 644): chmod 600 {}", path.display());
        for command in ["serve", "doctor"] {
            let begun = site.folder.path().join("keystead.db").exists();
            assert!(!begun, "serve has written something");
            let (good, text) = site.run(&[command]);
            assert!(
                !good && text.contains(what) && text.contains(&to_do),
                "{command}: {text}"
            );
        }

        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let mut server = site.start();
        server.ready();
        server.stop();
        let (good, text) = site.run(&["doctor"]);
        assert!(good, "{text}");
    }
}
