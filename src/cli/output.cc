#include "cli/output.h"

#include <cstdio>

namespace kvstore::cli {

bool write_output(std::string_view text) {
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
           std::fflush(stdout) == 0;
}

void write_error(std::string_view text) {
    // Nobody is left to tell when stderr fails.
    (void)std::fwrite(text.data(), 1, text.size(), stderr);
    (void)std::fflush(stderr);
}

}  // namespace kvstore::cli
