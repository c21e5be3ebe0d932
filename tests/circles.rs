//! No files form a circle: each can be read after those that it uses.
//!
//! A name is followed through `use` and `pub use` to the file that defines it, so that a re-export hides nothing.
//! Methods are not followed: which file a method call ends in only the compiler knows.
#![allow(clippy::disallowed_methods, reason = "a test reads files; src's pure rooms do not")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// Modules by their path from the crate, each with what its file says.
type Modules = BTreeMap<Vec<String>, Module>;

#[derive(Debug, Default)]
struct Module {
    file: PathBuf,
    /// Items that it defines.
    items: BTreeSet<String>,
    /// What its `use` declarations bind, by the name.
    bound: BTreeMap<String, Vec<String>>,
    /// Paths of which it binds everything.
    globs: Vec<Vec<String>>,
    /// Paths that are written in its code.
    paths: BTreeSet<Vec<String>>,
}

#[test]
fn no_files_of_the_library_form_a_circle() {
    let circles = circles("src", "lib.rs", 150);
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn no_files_of_the_bench_form_a_circle() {
    let circles = circles("benches/scale", "main.rs", 10);
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn a_circle_is_found_through_a_re_export() {
    let module = |file: &str, code: &str| {
        let mut module = Module { file: file.into(), ..Module::default() };
        read(&syn::parse_str(code).expect("it is Rust"), &mut module);
        module
    };
    let modules = Modules::from([
        (vec![], module("lib", "mod a; pub use a::Thing;")),
        (vec!["a".into()], module("a", "use crate::b; pub struct Thing; fn f() { b::g() }")),
        (vec!["b".into()], module("b", "use crate::Thing; pub fn g() -> Thing { todo!() }")),
    ]);
    assert_eq!(in_circles(&arrows(&modules)), ["a, b\n    a uses b::g of b\n    b uses Thing of a"]);
}

/// Each circle of files below the folder, as their names.
fn circles(folder: &str, root: &str, least: usize) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut modules = Modules::new();
    load(&folder, &folder.join(root), Vec::new(), &mut modules);
    assert!(modules.len() >= least, "only {} files were found: the search is broken", modules.len());
    in_circles(&arrows(&modules))
}

fn load(folder: &Path, file: &Path, path: Vec<String>, modules: &mut Modules) {
    let code = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let code = syn::parse_file(&code).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut module =
        Module { file: file.strip_prefix(folder).unwrap_or(file).to_owned(), ..Module::default() };
    let children = read(&code, &mut module);
    modules.insert(path.clone(), module);
    // What a module of a root or of a `mod.rs` is lies beside it; of any other file, in the folder of its name.
    let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    let beside = matches!(name, "lib" | "main" | "mod");
    let parent = file.parent().unwrap_or(folder);
    let below = if beside { parent.to_owned() } else { parent.join(name) };
    for child in children {
        let plain = below.join(format!("{child}.rs"));
        let file = if plain.exists() { plain } else { below.join(&child).join("mod.rs") };
        let path = path.iter().cloned().chain([child]).collect();
        load(folder, &file, path, modules);
    }
}

/// Fills the module from its file; returns the modules that have files of their own.
fn read(code: &syn::File, module: &mut Module) -> Vec<String> {
    let mut children = Vec::new();
    for item in code.items.iter().filter(|item| !is_for_tests(item)) {
        match item {
            syn::Item::Mod(child) if child.content.is_none() => children.push(child.ident.to_string()),
            syn::Item::Use(item) => bind(&item.tree, Vec::new(), module),
            item => {
                module.items.extend(name_of(item));
                Paths(&mut module.paths).visit_item(item);
            }
        }
    }
    children
}

fn is_for_tests(item: &syn::Item) -> bool {
    let attributes = match item {
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| {
        let list = attribute.meta.require_list();
        attribute.path().is_ident("cfg") && list.is_ok_and(|list| list.tokens.to_string().contains("test"))
    })
}

fn name_of(item: &syn::Item) -> Option<String> {
    let name = match item {
        syn::Item::Const(item) => &item.ident,
        syn::Item::Enum(item) => &item.ident,
        syn::Item::Fn(item) => &item.sig.ident,
        syn::Item::Static(item) => &item.ident,
        syn::Item::Struct(item) => &item.ident,
        syn::Item::Trait(item) => &item.ident,
        syn::Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

fn bind(tree: &syn::UseTree, mut before: Vec<String>, module: &mut Module) {
    match tree {
        syn::UseTree::Path(path) => {
            before.push(path.ident.to_string());
            bind(&path.tree, before, module);
        }
        syn::UseTree::Group(group) => {
            group.items.iter().for_each(|tree| bind(tree, before.clone(), module));
        }
        syn::UseTree::Glob(_) => module.globs.push(before),
        syn::UseTree::Name(name) if name.ident == "self" => {
            if let Some(last) = before.last().cloned() {
                module.bound.insert(last, before);
            }
        }
        syn::UseTree::Name(name) => {
            before.push(name.ident.to_string());
            module.bound.insert(name.ident.to_string(), before);
        }
        syn::UseTree::Rename(name) => {
            before.push(name.ident.to_string());
            module.bound.insert(name.rename.to_string(), before);
        }
    }
}

struct Paths<'a>(&'a mut BTreeSet<Vec<String>>);

impl Visit<'_> for Paths<'_> {
    fn visit_path(&mut self, path: &syn::Path) {
        self.0.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    /// What stands in a macro is read as far as it looks like expressions.
    fn visit_macro(&mut self, item: &syn::Macro) {
        self.visit_path(&item.path);
        type Expressions = syn::punctuated::Punctuated<syn::Expr, syn::Token![,]>;
        if let Ok(all) = item.parse_body_with(Expressions::parse_terminated) {
            all.iter().for_each(|one| self.visit_expr(one));
        }
    }
}

/// For each file those whose definitions it uses, with one that it uses.
type Arrows = BTreeMap<PathBuf, BTreeMap<PathBuf, String>>;

fn arrows(modules: &Modules) -> Arrows {
    let mut arrows = Arrows::new();
    for (path, module) in modules {
        // What a module hands on, and does not use itself, is no use of it.
        let used = module
            .paths
            .iter()
            .filter_map(|written| Some((resolve(modules, path, written, 0)?, written.join("::"))));
        let used = used.filter(|(file, _)| *file != module.file);
        arrows.entry(module.file.clone()).or_default().extend(used);
    }
    arrows
}

/// The file that defines what `written` names in the module of this path.
fn resolve(modules: &Modules, at: &[String], written: &[String], depth: usize) -> Option<PathBuf> {
    if depth > 12 {
        return None;
    }
    let (first, rest) = written.split_first()?;
    let module = modules.get(at)?;
    match first.as_str() {
        "crate" => return resolve_in(modules, &[], rest, depth),
        "self" => return resolve_in(modules, at, rest, depth),
        "super" => return resolve_super(modules, at, rest, depth),
        _ => {}
    }
    if let Some(bound) = module.bound.get(first) {
        let whole: Vec<_> = bound.iter().chain(rest).cloned().collect();
        return resolve(modules, at, &whole, depth + 1).or_else(|| resolve(modules, at, bound, depth + 1));
    }
    let globs = || {
        let each = module.globs.iter().map(|glob| glob.iter().chain(written).cloned().collect::<Vec<_>>());
        each.into_iter().find_map(|whole| resolve(modules, at, &whole, depth + 1))
    };
    resolve_in(modules, at, written, depth).or_else(globs)
}

fn resolve_super(modules: &Modules, at: &[String], rest: &[String], depth: usize) -> Option<PathBuf> {
    let (_, parent) = at.split_last()?;
    match rest.split_first() {
        Some((first, rest)) if first == "super" => resolve_super(modules, parent, rest, depth),
        _ => resolve_in(modules, parent, rest, depth),
    }
}

/// Follows a path that begins in the module at `at`.
fn resolve_in(modules: &Modules, at: &[String], rest: &[String], depth: usize) -> Option<PathBuf> {
    let (first, after) = rest.split_first()?;
    let module = modules.get(at)?;
    let child: Vec<_> = at.iter().chain([first]).cloned().collect();
    if modules.contains_key(&child) && !after.is_empty() {
        return resolve_in(modules, &child, after, depth);
    }
    if module.items.contains(first) {
        return Some(module.file.clone());
    }
    let bound = module.bound.get(first)?;
    // A name that is bound to itself is one of another crate.
    let whole: Vec<_> = bound.iter().chain(after).cloned().collect();
    if bound.len() == 1 && bound[0] == *first {
        return None;
    }
    resolve(modules, at, &whole, depth + 1).or_else(|| resolve(modules, at, bound, depth + 1))
}

/// Files that reach each other: each group once, as its names and the arrows inside it.
fn in_circles(arrows: &Arrows) -> Vec<String> {
    let reached = |from: &PathBuf| {
        let mut seen = BTreeSet::new();
        let mut next: Vec<_> = arrows[from].keys().collect();
        while let Some(file) = next.pop() {
            if seen.insert(file) {
                next.extend(arrows[file].keys());
            }
        }
        seen
    };
    let all: BTreeMap<_, _> = arrows.keys().map(|file| (file, reached(file))).collect();
    let group = |file: &PathBuf| -> BTreeSet<&PathBuf> {
        all[file].iter().copied().filter(|other| all[other].contains(file)).collect()
    };
    let groups: BTreeSet<_> = all.keys().map(|file| group(file)).filter(|group| group.len() > 1).collect();
    groups.into_iter().map(|group| told(arrows, &group)).collect()
}

fn told(arrows: &Arrows, group: &BTreeSet<&PathBuf>) -> String {
    let mut told = group.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ");
    for from in group {
        for (to, name) in arrows[*from].iter().filter(|(to, _)| group.contains(to)) {
            told += &format!("\n    {} uses {name} of {}", from.display(), to.display());
        }
    }
    told
}
