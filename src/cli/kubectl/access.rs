//! Which cluster, and as whom.

use std::path::PathBuf;

use clap::Args;

/// Which cluster, and as whom.
#[derive(Args)]
pub struct Access {
    /// Namespace; that of the context by default
    #[arg(short, long, global = true)]
    pub namespace: Option<String>,

    /// Kubeconfig file; by default those of KUBECONFIG, or ~/.kube/config
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig
    #[arg(long, global = true)]
    pub context: Option<String>,

    /// User to impersonate
    #[arg(long = "as", global = true, value_name = "USER")]
    pub as_user: Option<String>,

    /// Group to impersonate; may be repeated
    #[arg(long, global = true, value_name = "GROUP", requires = "as_user")]
    pub as_group: Vec<String>,

    /// Never colour; nor is it done where NO_COLOR is set or the output is no terminal
    #[arg(long, global = true)]
    pub no_color: bool,
}
