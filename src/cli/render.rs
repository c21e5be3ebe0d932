//! `mfa-operator render`: what a policy becomes, without a cluster.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::api;
use crate::cli::output;
use crate::lint::{Reviewed, Server, review};
use crate::server::kratos::{self, Version};

#[derive(Args)]
pub struct Options {
    /// File with one MfaPolicy as YAML or JSON; - reads standard input
    #[arg(short, long, value_name = "FILE")]
    filename: PathBuf,

    /// The server's own configuration, kratos.yaml: prints it with the policy laid on it, and refuses
    /// what Kratos would refuse. May be repeated; a later file beats an earlier one
    #[arg(long, value_name = "FILE")]
    base: Vec<PathBuf>,

    /// Version of Kratos, for example 25.4: before that, a code as second factor counts for everyone
    /// and has to be acknowledged, as it has where the version is not known
    #[arg(long, value_name = "VERSION")]
    server_version: Option<Version>,

    /// The configuration file that the policy becomes, or its environment variables
    #[arg(long = "as", value_enum, default_value = "file")]
    form: Form,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    File,
    Env,
}

pub fn run(options: &Options) -> ExitCode {
    let file = options.filename.display().to_string();
    let base = match crate::cli::input::base(&options.base) {
        Ok(base) => base,
        Err(error) => return crate::cli::output::fail(&error),
    };
    let review = match crate::cli::input::read(&options.filename) {
        Ok(text) => review(&text, Server { base: base.as_deref(), version: options.server_version }),
        Err(error) => return crate::cli::output::fail(&format!("{file}: {error}")),
    };
    if !review.findings.is_empty() {
        review
            .findings
            .iter()
            .for_each(|finding| output::tell(&(crate::cli::output::line(&file, finding) + "\n")));
        return ExitCode::FAILURE;
    }
    let [Reviewed { name, policy: Some(policy) }] = review.policies.as_slice() else {
        return crate::cli::output::fail(&format!(
            "{file}: it holds {} of kind {}, give a file with one",
            review.policies.len(),
            api::KIND
        ));
    };
    let rendered = kratos::render(name, kratos::Overlay::of(policy), policy.delivery);
    output::print(&match options.form {
        Form::File if base.is_some() => {
            kratos::merge(&base.unwrap_or_default(), &rendered.overlay, policy.delivery).to_yaml()
        }
        Form::File => rendered.file,
        Form::Env => rendered
            .variables
            .iter()
            .map(|variable| format!("{}={}\n", variable.name, variable.value))
            .collect(),
    })
}
