//! Cases of `volumes`.

use super::*;
use serde_json::{Value, json};

fn found(path: &str, mounts: Value, volumes: Value) -> Option<(String, String, bool)> {
    let mounts = serde_json::from_value(mounts).expect("mounts");
    let volumes = serde_json::from_value(volumes).expect("volumes");
    let file = Places::of("", &mounts, &volumes).file(path).ok()?;
    Some((file.config_map.to_string(), file.key.to_string(), file.reloads))
}

fn ours(reloads: bool) -> Option<(String, String, bool)> {
    Some(("mfa".into(), "kratos.yaml".into(), reloads))
}

#[test]
fn a_file_is_found_however_it_is_mounted() {
    let plain = json!([{"name": "v", "configMap": {"name": "mfa"}}]);
    let renamed = json!([{"name": "v", "configMap": {"name": "mfa", "items": [{"key": "kratos.yaml", "path": "x/levels.yaml"}]}}]);
    let projected = json!([{"name": "v", "projected": {"sources": [
        {"configMap": {"name": "base", "items": [{"key": "a", "path": "a"}]}},
        {"configMap": {"name": "mfa"}},
        {"secret": {"name": "s", "items": [{"key": "b", "path": "b"}]}},
        {"downwardAPI": {}},
    ]}}]);
    let folder = json!([{"name": "other", "mountPath": "/etc"}, {"name": "v", "mountPath": "/etc/mfa"}]);
    let file = json!([{"name": "v", "mountPath": "/etc/mfa/kratos.yaml", "subPath": "kratos.yaml"}]);
    let cases = [
        ("/etc/mfa/kratos.yaml", &folder, &plain, true),
        ("/etc/mfa/./x/../kratos.yaml", &folder, &plain, true),
        ("/etc//mfa/kratos.yaml", &folder, &projected, true),
        ("/etc/mfa/x/levels.yaml", &folder, &renamed, true),
        ("/etc/mfa/kratos.yaml", &file, &plain, false),
        ("/etc/mfa/kratos.yaml", &file, &projected, false),
    ];
    for (path, mounts, volumes, reloads) in cases {
        assert_eq!(found(path, mounts.clone(), volumes.clone()), ours(reloads), "{path} {mounts} {volumes}");
    }
}

#[test]
fn what_is_no_file_of_a_config_map_is_none() {
    let folder = json!([{"name": "v", "mountPath": "/etc/mfa"}]);
    let plain = json!([{"name": "v", "configMap": {"name": "mfa"}}]);
    let renamed = json!([{"name": "v", "configMap": {"name": "mfa", "items": [{"key": "kratos.yaml", "path": "levels.yaml"}]}}]);
    let hidden = json!([{"name": "v", "projected": {"sources": [{"configMap": {"name": "mfa"}}, {"secret": {"name": "s"}}]}}]);
    let by_expression = json!([{"name": "v", "mountPath": "/etc/mfa", "subPathExpr": "$(POD)"}]);
    let inner = json!([{"name": "v", "mountPath": "/etc/mfa"}, {"name": "other", "mountPath": "/etc/mfa/kratos.yaml"}]);
    let cases = [
        ("/etc/mfa-too/kratos.yaml", &folder, &plain),
        ("kratos.yaml", &folder, &plain),
        ("/etc/mfa/kratos.yaml", &folder, &renamed),
        ("/etc/mfa/kratos.yaml", &folder, &hidden),
        ("/etc/mfa/kratos.yaml", &by_expression, &plain),
        ("/etc/mfa/kratos.yaml", &inner, &plain),
        ("/etc/mfa", &folder, &plain),
    ];
    for (path, mounts, volumes) in cases {
        assert_eq!(found(path, mounts.clone(), volumes.clone()), None, "{path} {mounts} {volumes}");
    }
}

#[test]
fn where_else_a_file_comes_from_is_named() {
    let of = |path: &str, mount: Value, volume: Value| {
        let mounts = serde_json::from_value(json!([mount])).expect("mounts");
        let volumes = serde_json::from_value(json!([volume])).expect("volumes");
        Places::of("", &mounts, &volumes).file(path).err()
    };
    let folder = || json!({"name": "v", "mountPath": "/etc/mfa"});
    let path = "/etc/mfa/kratos.yaml";
    let secret = json!({"name": "v", "secret": {"secretName": "keys"}});
    assert_eq!(of(path, folder(), secret), Some(FileSource::Secret("keys".into())));
    let projected = json!({"name": "v", "projected": {"sources": [{"configMap": {"name": "mfa"}}, {"secret": {"name": "keys"}}]}});
    assert_eq!(of(path, folder(), projected), Some(FileSource::Secret("keys".into())));
    let plain = json!({"name": "v", "configMap": {"name": "mfa"}});
    assert_eq!(of("/etc/mfa/kratos.toml", folder(), plain), Some(FileSource::Toml));
    let host = json!({"name": "v", "hostPath": {"path": "/srv"}});
    assert_eq!(of(path, folder(), host.clone()), Some(FileSource::Volume("v".into())));
    assert_eq!(of("/other/kratos.yaml", folder(), host.clone()), Some(FileSource::Elsewhere));
    assert_eq!(of("kratos.yaml", folder(), host), Some(FileSource::Elsewhere));
}
