//! What outlives a restart of the fake provider.

use crate::support::{Sandbox, text};
use std::{fs, os::unix::fs::PermissionsExt};

/// Part of AK-805: nothing is closed in an orderly way in between, as after `kill -9`.
#[tokio::test]
async fn grants_outlive_a_restart_and_used_refresh_tokens_stay_used() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sandbox.json");
    let before = Sandbox::kept(&file);
    let first = before.connect().await;
    let second = before.refresh(text(&first, "refresh_token")).await.json();
    drop(before);

    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let written = fs::read_to_string(&file).unwrap();
    for token in [&first["refresh_token"], &second["access_token"]] {
        assert!(
            !written.contains(token.as_str().unwrap()),
            "a hash is enough"
        );
    }

    let after = Sandbox::kept(&file);
    let me = after.call("/me", text(&second, "access_token")).await;
    assert_eq!(me.status, 200, "{me:?}");
    let refreshed = after.refresh(text(&second, "refresh_token")).await;
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
    let replayed = after.refresh(text(&first, "refresh_token")).await;
    assert_eq!(replayed.status, 400, "{replayed:?}");
    let again = Sandbox::kept(&file);
    let fallen = again
        .refresh(text(&refreshed.json(), "refresh_token"))
        .await;
    assert_eq!(
        fallen.status, 400,
        "the replay ended the family: {fallen:?}"
    );
}

#[tokio::test]
async fn a_damaged_file_is_put_aside_and_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sandbox.json");
    for damaged in ["", "{\"grants\": {\"clients\"", "{\"grants\": 1}"] {
        fs::write(&file, damaged).unwrap();
        let sandbox = Sandbox::kept(&file);
        let tokens = sandbox.connect().await;
        let aside = fs::read_to_string(folder.path().join("sandbox.damaged")).unwrap();
        assert_eq!(aside, damaged);
        drop(sandbox);
        let me = Sandbox::kept(&file)
            .call("/me", text(&tokens, "access_token"))
            .await;
        assert_eq!(me.status, 200, "{me:?}");
    }
}
