#include "cli/main.h"

// Read by jemalloc where it is linked. Memory that a burst has needed goes back to the system some
// seconds after it, also when nothing is allocated any more.
extern "C" {
// NOLINTNEXTLINE(readability-identifier-naming): jemalloc's name for it
const char* malloc_conf = "background_thread:true,dirty_decay_ms:5000,muzzy_decay_ms:0";
}

int main(int argc, char** argv) {
    return kvstore::cli::run_main(argc, argv);
}
