// SPDX-License-Identifier: Apache-2.0
//
// hold: stops one thread of a process while the others go on, for the smoke tests.
//
//   hold TID
//
// Out:   "held\n" once the thread has stopped. It goes on when this program ends, after a minute at
//        most.
#include <cstdio>
#include <cstdlib>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: hold TID\n");
        return 1;
    }
    const pid_t thread = std::atoi(argv[1]);
    if (ptrace(PTRACE_SEIZE, thread, nullptr, nullptr) != 0 ||
        ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) != 0 ||
        waitpid(thread, nullptr, __WALL) != thread) {
        std::perror("hold");
        return 1;
    }
    std::puts("held");
    std::fflush(stdout);
    sleep(60);
    return 0;
}
