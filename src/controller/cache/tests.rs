//! Late answers, and what a list has that the watch has not brought.

use super::*;
use crate::plan::ConfigMapView;

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
    cache.put(map("a", "1"));
    cache.answered(map("a", "3"));
    cache.put(map("a", "2"));
    assert_eq!(held(&cache), Some(("a".into(), "3".into())), "an event that is older than the answer");
    cache.remove::<ConfigMap>(&Key::new("identity", "mfa"));
    cache.answered(map("a", "4"));
    assert_eq!(held(&cache), None, "it was deleted meanwhile");
    cache.put(map("b", "6"));
    cache.answered(map("a", "4"));
    assert_eq!(held(&cache), Some(("b".into(), "6".into())), "it was created again meanwhile");
}
#[test]
fn it_has_what_was_listed_when_the_watch_has_brought_it() {
    let versions = |maps: &[ConfigMap]| maps.iter().map(versioned).collect::<Versions<ConfigMap>>();
    let cache = Cache::default();
    let nothing = Versions::<ConfigMap>::new();
    assert!(cache.has::<ConfigMap>(&nothing, &nothing));
    assert!(!cache.has::<ConfigMap>(&nothing, &versions(&[map("a", "2")])), "it is not held");
    cache.put(map("a", "1"));
    let before = cache.versions::<ConfigMap>("ConfigMap", Some("identity"));
    assert!(!cache.has::<ConfigMap>(&before, &versions(&[map("a", "2")])), "it is held as it was before");
    assert!(!cache.has::<ConfigMap>(&before, &versions(&[map("b", "2")])), "it is held as what it was before");
    assert!(!cache.has::<ConfigMap>(&before, &nothing), "it is gone and still held");
    cache.put(map("a", "10"));
    assert!(cache.has::<ConfigMap>(&before, &versions(&[map("a", "2")])), "it is held as it is by now");
    assert!(cache.has::<ConfigMap>(&before, &nothing), "it came back meanwhile");
    cache.remove::<ConfigMap>(&Key::new("identity", "mfa"));
    assert!(cache.has::<ConfigMap>(&before, &nothing), "it is gone");
}
