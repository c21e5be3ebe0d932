//! Late answers, and what a list has that the watch has not brought.

use smol_str::SmolStr;

use super::*;
use crate::model::ConfigMapView;

fn map(uid: &str, resource_version: &str) -> ConfigMap {
    let view = ConfigMapView {
        name: "mfa".into(),
        uid: uid.into(),
        resource_version: resource_version.into(),
        deleting: false,
        policy_label: Some("mfa".into()),
        governed: None,
        own: true,
        holder: None,
        claimant: false,
        content: None,
        mounted: false,
    };
    ConfigMap { key: Key::new("identity", "mfa"), view }
}

fn held(cache: &Cache) -> Option<(SmolStr, SmolStr)> {
    let found = cache.read(|tables| tables.config_maps.get(&Key::new("identity", "mfa")))?;
    Some((found.view.uid.clone(), found.view.resource_version.clone()))
}

#[test]
fn a_late_answer_brings_nothing_back() {
    let cache = Cache::default();
    cache.put(Ok(map("a", "1")));
    cache.answered(Ok(map("a", "3")));
    cache.put(Ok(map("a", "2")));
    assert_eq!(held(&cache), Some(("a".into(), "3".into())), "an event that is older than the answer");
    cache.remove::<ConfigMap>(&Key::new("identity", "mfa"));
    cache.answered(Ok(map("a", "4")));
    assert_eq!(held(&cache), None, "it was deleted meanwhile");
    cache.put(Ok(map("b", "6")));
    cache.answered(Ok(map("a", "4")));
    assert_eq!(held(&cache), Some(("b".into(), "6".into())), "it was created again meanwhile");
}

fn key() -> Key {
    Key::new("identity", "mfa")
}

fn unreadable(uid: &str, version: &str) -> Arc<Unreadable> {
    let label = Some("mfa".into());
    Arc::new(Unreadable {
        kind: "ConfigMap",
        key: key(),
        uid: uid.into(),
        version: version.into(),
        label,
        field: "data".into(),
    })
}

#[test]
fn what_cannot_be_read_stands_in_the_place_of_what_could() {
    let cache = Cache::default();
    let told = |cache: &Cache| {
        cache.read(|tables| {
            (tables.config_maps.get(&key()).is_some(), tables.config_maps.unreadable(&key()).is_some())
        })
    };
    cache.put(Ok(map("a", "1")));
    assert_eq!(
        cache.put::<ConfigMap>(Err(unreadable("a", "2"))),
        [key(), key()],
        "whom it concerned, and whom it does"
    );
    assert_eq!(told(&cache), (false, true));
    assert!(
        cache
            .read(|tables| tables.config_maps.is_there(&key())
                && tables.config_maps.found_by(&key()).is_empty())
    );
    assert_eq!(cache.read(|tables| tables.config_maps.unreadable_found_by(&key()).len()), 1);
    assert_eq!(cache.read(Tables::unreadable), BTreeMap::from([("ConfigMap", 1)]));
    cache.put(Ok(map("a", "1")));
    assert_eq!(told(&cache), (false, true), "an event that is older");
    assert_eq!(
        cache.put::<ConfigMap>(Err(unreadable("a", "3"))),
        [],
        "another version that cannot be read either"
    );
    cache.put(Ok(map("a", "4")));
    assert_eq!(told(&cache), (true, false), "it can be read again");
    cache.put::<ConfigMap>(Err(unreadable("a", "5")));
    assert_eq!(cache.keep_only::<ConfigMap>("ConfigMap", None, &HashSet::new()), [key()]);
    assert_eq!(told(&cache), (false, false), "it is gone");
}

/// The storage of the cluster was taken back to a backup.
#[test]
fn what_a_list_brings_counts_whatever_its_number() {
    let cache = Cache::default();
    cache.put(Ok(map("a", "900")));
    cache.put_listed(Ok(map("a", "400")));
    assert_eq!(held(&cache), Some(("a".into(), "400".into())));
    cache.put(Ok(map("a", "401")));
    assert_eq!(held(&cache), Some(("a".into(), "401".into())), "and what follows goes on from there");
}

#[test]
fn what_is_read_live_counts_unless_the_watch_was_faster() {
    let cache = Cache::default();
    cache.put(Ok(map("a", "900")));
    let before = cache.version::<ConfigMap>(&key());
    cache.refresh(&key(), &before, Some(Ok(map("a", "400"))));
    assert_eq!(held(&cache), Some(("a".into(), "400".into())), "whatever its number");
    cache.put(Ok(map("a", "402")));
    cache.refresh(&key(), &Some(("a".into(), "400".into())), Some(Ok(map("a", "401"))));
    assert_eq!(held(&cache), Some(("a".into(), "402".into())), "the watch brought something meanwhile");
    cache.refresh::<ConfigMap>(&key(), &Some(("a".into(), "402".into())), None);
    assert_eq!(held(&cache), None, "it is gone");
}

#[test]
fn a_policy_is_found_by_all_that_it_names() {
    let policy = |name: &str, config_map: &str| {
        let spec = serde_json::json!({"targetRefs": [{"name": "kratos"}], "requiredAAL": {"whoami": "aal1"}, "delivery": {"configMapName": config_map}});
        let object = serde_json::json!({"metadata": {"name": name, "namespace": "identity", "uid": name, "resourceVersion": "1"}, "spec": spec});
        let seen: crate::controller::decode::seen::Seen<PolicyObject> =
            serde_json::from_value(object).expect("an object");
        seen.value(&crate::controller::decode::Resource::POLICIES).expect("a policy")
    };
    let cache = Cache::default();
    let names = |by: Named| {
        cache.read(|tables| {
            tables.policies.found_by(&by).iter().map(|policy| policy.key.name.clone()).collect::<Vec<_>>()
        })
    };
    let map = |name: &str| Named::ConfigMap(Key::new("identity", name));
    let kratos = || {
        Named::Workload(WorkloadId {
            kind: crate::policy::Kind::Deployment,
            key: Key::new("identity", "kratos"),
        })
    };
    cache.put(Ok(policy("a", "shared-mfa")));
    cache.put(Ok(policy("b", "shared-mfa")));
    cache.put(Ok(policy("c", "other-mfa")));
    assert_eq!(
        (names(map("shared-mfa")), names(map("other-mfa"))),
        (vec!["a".into(), "b".into()], vec!["c".into()])
    );
    assert_eq!(names(kratos()).len(), 3);
    let edited = PolicyObject { generation: 2, resource_version: "2".into(), ..policy("b", "other-mfa") };
    cache.put(Ok(edited));
    assert_eq!(
        (names(map("shared-mfa")), names(map("other-mfa"))),
        (vec!["a".into()], vec!["c".into(), "b".into()])
    );
    cache.remove::<PolicyObject>(&Key::new("identity", "a"));
    assert!(cache.read(|tables| !tables.policies.is_found_by(&map("shared-mfa"))));
}

#[test]
fn it_has_what_was_listed_when_the_watch_has_brought_it() {
    let versions = |maps: &[ConfigMap]| {
        maps.iter().map(|map| (map.id(), versioned(map.version()))).collect::<Versions<Key>>()
    };
    let cache = Cache::default();
    let nothing = Versions::<Key>::new();
    assert!(cache.has::<ConfigMap>(&nothing, &nothing));
    assert!(!cache.has::<ConfigMap>(&nothing, &versions(&[map("a", "2")])), "it is not held");
    cache.put(Ok(map("a", "1")));
    let before = cache.versions::<ConfigMap>("ConfigMap", Some("identity"));
    assert!(!cache.has::<ConfigMap>(&before, &versions(&[map("a", "2")])), "it is held as it was before");
    assert!(
        !cache.has::<ConfigMap>(&before, &versions(&[map("b", "2")])),
        "it is held as what it was before"
    );
    assert!(!cache.has::<ConfigMap>(&before, &nothing), "it is gone and still held");
    cache.put(Ok(map("a", "10")));
    assert!(cache.has::<ConfigMap>(&before, &versions(&[map("a", "2")])), "it is held as it is by now");
    assert!(cache.has::<ConfigMap>(&before, &nothing), "it came back meanwhile");
    cache.remove::<ConfigMap>(&Key::new("identity", "mfa"));
    assert!(cache.has::<ConfigMap>(&before, &nothing), "it is gone");
}
