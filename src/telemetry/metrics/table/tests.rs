//! Cases of `table`.

use super::*;

/// What the Prometheus operator has a target carry: where targets win, a label of ours by such a name
/// would be lost.
#[test]
fn no_label_is_one_of_the_target() {
    let target = ["namespace", "pod", "service", "container", "endpoint", "job", "instance"];
    for metric in ALL {
        let taken: Vec<_> = metric.labels.iter().filter(|(label, _)| target.contains(label)).collect();
        assert!(taken.is_empty(), "{}: {taken:?}", metric.name);
    }
}
