#include "cli/main.h"

int main(int argc, char** argv) {
    return kvstore::cli::run_main(argc, argv);
}
