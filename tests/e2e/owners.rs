//! The others who write the same Deployment: Helm 3, Helm 4 and `kubectl rollout undo`.

use serde_json::Value;

use crate::install::{self, strict};
use crate::kratos::{Door, STEP_UP, Session};
use crate::{cluster, kratos};

struct Scene {
    namespace: &'static str,
    helm: &'static str,
    session: Session,
}

impl Scene {
    /// Kratos by this Helm, a policy in force, and a session that lacks the second factor.
    fn new(helm: &'static str, namespace: &'static str) -> Self {
        install::operator();
        install::begin(namespace);
        cluster::kratos(helm, namespace, 2, &["--set", "courier.enabled=false"]);
        let public = cluster::service(namespace, "kratos-public");
        let person = cluster::service(namespace, "kratos-admin").create_person();
        public.enrol(&public.sign_in(&person));
        let session = public.sign_in(&person);
        assert_eq!(public.whoami(&session).verdict(), kratos::AT_AAL1);
        cluster::apply(&cluster::policy(namespace, "kratos", "kratos", &strict()));
        cluster::await_ready(namespace, "kratos");
        let scene = Self { namespace, helm, session };
        scene.enforced("at first");
        scene
    }

    fn upgrade(&self, change: &str, arguments: &[&str]) {
        let change = format!("deployment.podAnnotations.change={change}");
        let mut all = vec!["--set", "courier.enabled=false", "--set", &change];
        all.extend(arguments);
        cluster::kratos(self.helm, self.namespace, 2, &all);
    }

    fn deployment(&self) -> Value {
        cluster::get(self.namespace, "deployment/kratos")
    }

    fn generation(&self) -> i64 {
        self.deployment()["metadata"]["generation"].as_i64().unwrap_or_default()
    }

    fn change(&self) -> Value {
        self.deployment()["spec"]["template"]["metadata"]["annotations"]["change"].clone()
    }

    /// Goes back to what this Helm installed at first, which is from before the policy.
    fn roll_back(&self, arguments: &[&str]) {
        let mut all =
            vec!["rollback", "kratos", "1", "--namespace", self.namespace, "--wait", "--timeout", "180s"];
        all.extend(arguments);
        cluster::run(self.helm, &all);
    }

    /// Every pod and the Service demand the second factor.
    fn enforced(&self, moment: &str) {
        cluster::await_pods(self.namespace, "kratos", "kratos");
        cluster::await_ready(self.namespace, "kratos");
        let check = |door: &Door| {
            assert_eq!(door.whoami(&self.session).verdict(), STEP_UP, "{moment}: {}", door.name)
        };
        cluster::doors(self.namespace, "kratos").iter().for_each(check);
    }

    fn repairs(&self) -> usize {
        let line = ["-n", self.namespace, "get", "events.events.k8s.io", "-o", "jsonpath={.items[*].reason}"];
        cluster::kubectl(&line).split(' ').filter(|reason| *reason == "DriftRepaired").count()
    }
}

pub fn helm4() {
    let scene = Scene::new("helm", "e2e-helm4");
    let before = scene.generation();
    scene.upgrade("one", &[]);
    scene.enforced("after helm upgrade");
    assert_eq!(
        (scene.generation(), scene.change()),
        (before + 1, "one".into()),
        "helm upgrade made its own change and no other"
    );

    scene.upgrade("two", &["--server-side=true", "--force-conflicts"]);
    scene.enforced("after helm upgrade --server-side --force-conflicts");
    assert_eq!(
        (scene.generation(), scene.change()),
        (before + 2, "two".into()),
        "helm upgrade made its own change and no other"
    );

    scene.roll_back(&[]);
    scene.enforced("after helm rollback");
    assert_eq!(
        (scene.generation(), scene.change()),
        (before + 3, Value::Null),
        "helm rollback made its own change and no other"
    );
    assert_eq!(scene.repairs(), 0, "nothing had to be repaired");

    scene.upgrade("three", &["--server-side=false", "--force-replace"]);
    scene.enforced("after helm upgrade --force-replace");
    assert_eq!(scene.change(), "three", "the repair kept what Helm changed");

    scene.roll_back(&["--server-side=false", "--force-replace"]);
    scene.enforced("after helm rollback --force-replace");
    assert_eq!(scene.change(), Value::Null, "the repair kept what Helm rolled back");
    install::end(scene.namespace);
}

pub fn helm3() {
    let scene = Scene::new("helm3", "e2e-helm3");
    let before = scene.generation();
    scene.upgrade("one", &[]);
    scene.enforced("after helm upgrade");
    assert_eq!(
        (scene.generation(), scene.change()),
        (before + 1, "one".into()),
        "helm upgrade made its own change and no other"
    );

    scene.roll_back(&[]);
    scene.enforced("after helm rollback");
    assert_eq!(
        (scene.generation(), scene.change()),
        (before + 2, Value::Null),
        "helm rollback made its own change and no other"
    );
    assert_eq!(scene.repairs(), 0, "nothing had to be repaired");

    scene.upgrade("two", &["--force"]);
    scene.enforced("after helm upgrade --force");
    assert_eq!(scene.change(), "two", "the repair kept what Helm changed");
    // It comes with the status, which is written once a second at most.
    cluster::until("an Event tells of the repair", cluster::LONG, || {
        if scene.repairs() > 0 { Ok(()) } else { Err("none does".into()) }
    });

    // Back to the template from before the policy and every upgrade.
    cluster::kubectl(&["-n", scene.namespace, "rollout", "undo", "deployment/kratos", "--to-revision=1"]);
    scene.enforced("after kubectl rollout undo");
    assert_eq!(scene.change(), Value::Null, "the repair kept what was undone");

    scene.upgrade("three", &[]);
    scene.enforced("after one more helm upgrade");
    let repairs = scene.repairs();
    scene.roll_back(&["--force"]);
    scene.enforced("after helm rollback --force");
    assert_eq!(scene.change(), Value::Null, "the repair kept what Helm rolled back");
    cluster::until("an Event tells of the repair", cluster::LONG, || {
        if scene.repairs() > repairs { Ok(()) } else { Err("none does".into()) }
    });
    install::end(scene.namespace);
}
