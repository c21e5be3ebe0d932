//! `mfa-operator render`: what a policy becomes, without a cluster.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::api::MfaPolicy;
use crate::document;
use crate::policy;
use crate::server::kratos;

#[derive(Args)]
pub(super) struct Options {
    /// File with one MfaPolicy as YAML or JSON; - reads standard input
    #[arg(short, long, value_name = "FILE")]
    filename: PathBuf,

    /// The configuration file that the policy becomes, or its environment variables
    #[arg(long = "as", value_enum, default_value = "file")]
    form: Form,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    File,
    Env,
}

pub(super) fn run(options: &Options) -> ExitCode {
    let text = match read(&options.filename) {
        Ok(text) => text,
        Err(error) => return super::fail(&format!("{}: {error}", options.filename.display())),
    };
    let resource: MfaPolicy = match document::from_yaml(&text) {
        Ok(resource) => resource,
        Err(error) => return super::fail(&format!("{}: not an MfaPolicy: {error}", options.filename.display())),
    };
    let name = resource.metadata.name.unwrap_or_default();
    match policy::parse(&name, &resource.spec) {
        Ok(policy) => {
            let rendered = kratos::render(&name, kratos::Overlay::of(&policy));
            match options.form {
                Form::File => print!("{}", rendered.file),
                Form::Env => rendered.variables.iter().for_each(|variable| println!("{}={}", variable.name, variable.value)),
            }
            ExitCode::SUCCESS
        }
        Err(rejections) => {
            for rejection in rejections {
                eprintln!("{}: {rejection}", options.filename.display());
            }
            ExitCode::FAILURE
        }
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(path)
}
