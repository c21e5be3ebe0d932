fn main() -> std::process::ExitCode {
    mfa_operator::cli::main()
}
