//! How the rendered settings reach the container: its variables, or a file that it has to mount.

use crate::api;
use crate::model::{Container, Workload};
use crate::plan::desired::Desired;
use crate::server::kratos::Variable;

impl Desired {
    /// The variables that the container shall have.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.rendered.variables
    }

    /// Whether the container reads the rendered file, and anew when it changes. One that it reads after that
    /// beats it, and is told as such.
    ///
    /// # Errors
    /// What is missing, and what to write where.
    pub fn wiring(&self, workload: &Workload, container: &Container) -> Result<(), String> {
        let config_map = &self.config_map;
        match workload.file(&container.name, config_map) {
            Some(file) if file.reloads => Ok(()),
            Some(_) => Err(format!(
                "container {} of {workload} mounts a single file of ConfigMap {config_map} by subPath, which never changes in a running pod: mount the folder, without subPath",
                container.name
            )),
            None => Err(not_wired(workload, container, config_map)),
        }
    }
}

pub fn not_wired(workload: &Workload, container: &Container, config_map: &str) -> String {
    let Container { name: container, traits, .. } = container;
    let script = if traits.scripted {
        ". What it runs is no Kratos by its own command, and what a shell or another program reads cannot be seen from here: have the command be kratos with its arguments"
    } else {
        ""
    };
    let by_chart = match workload.kind {
        crate::policy::Kind::Deployment => format!(
            ". With Ory's chart, add to its values: \
             {{\"deployment\": {{\"extraVolumes\": [{{\"name\": \"mfa\", \"configMap\": {{\"name\": \"{config_map}\"}}}}], \
             \"extraVolumeMounts\": [{{\"name\": \"mfa\", \"mountPath\": \"/etc/mfa\", \"readOnly\": true}}], \
             \"extraArgs\": [\"--config\", \"/etc/mfa/{}\"]}}}}",
            api::CONFIG_KEY
        ),
        _ => String::new(),
    };
    format!(
        "container {container} of {workload} does not read the policy: mount ConfigMap {config_map} as a folder and name its key {} as the last --config{script}{by_chart}",
        api::CONFIG_KEY
    )
}
