//! A resolver of our own, in the place of the system's by being loaded first.

use std::path::{Path, PathBuf};
use std::process::Command;

/// `both.test` has an address of each family. Names that begin with `hangs` have no answer for
/// two minutes. What it is asked it notes in the file that `RINGSEAL_TEST_RESOLVER_LOG` names, if that
/// is set.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int resolver(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
    resolver *system = (resolver *)dlsym(RTLD_NEXT, "getaddrinfo");
    const char *path = getenv("RINGSEAL_TEST_RESOLVER_LOG");
    if (path) {
        int log = open(path, O_WRONLY | O_APPEND);
        char line[256] = {0};
        strncpy(line, node, sizeof line - 2);
        strcat(line, "\n");
        if (write(log, line, strlen(line)) < 0) abort();
        close(log);
    }
    if (strncmp(node, "hangs", 5) == 0) {
        sleep(120);
        return EAI_AGAIN;
    }
    if (strcmp(node, "both.test") != 0) return system(node, service, hints, result);
    struct addrinfo *second;
    int error = system("::1", service, hints, result);
    if (!error) error = system("127.0.0.1", service, hints, &second);
    if (error) return error;
    struct addrinfo *last = *result;
    while (last->ai_next) last = last->ai_next;
    last->ai_next = second;
    return 0;
}
"#;

/// Compiles it into `directory`, as a library for `LD_PRELOAD`; or says why that can't be.
pub(crate) fn compile(directory: &Path) -> Result<PathBuf, String> {
    let source = directory.join("resolver.c");
    let library = directory.join("resolver.so");
    std::fs::write(&source, SOURCE).expect("write");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]);
    compiler.args([&library, &source]).arg("-ldl");
    match compiler.status() {
        Ok(status) => assert!(status.success(), "the resolver does not compile"),
        Err(error) => return Err(format!("no C compiler: {error}")),
    }
    Ok(library)
}
