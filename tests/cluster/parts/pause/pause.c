/* The process that holds a pod's namespaces. */
#include <signal.h>
#include <unistd.h>

static void stop(int signal) { (void)signal; _exit(0); }

int main(void) {
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    for (;;) pause();
}
