// The shell: PUT, GET, REMOVE and their kind at a prompt, or line by line from stdin.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "async/task.h"
#include "base/callback.h"
#include "base/status.h"
#include "cli/api_client.h"
#include "cli/exit_code.h"
#include "env/env.h"

namespace kvstore::cli {

// Words between blanks. Quotes, single or double, hold blanks together; in double quotes and
// outside, a backslash takes the next character as it is (\n, \t, \r as in C).
// Errors: kInvalidArgument: a quote that does not end.
Result<std::vector<std::string>> split_words(std::string_view line);

// What a prompt understands besides the shell's own commands.
struct PromptCommand {
    std::string_view name;  // in capitals; lives for ever
    std::string_view help;  // its line of HELP
    // Gets the line's words, the name among them. Returns: what is printed.
    Callback<async::Task<Result<std::string>>(std::vector<std::string> words)> run;
};

struct PromptEnd {
    bool all_ok = true;      // every line worked
    bool was_asked = false;  // by EXIT, not by the end of the input
};

// Reads lines, from a prompt or from stdin where that is no terminal, and runs them on `api`.
// Suspends: until EXIT or the end of the input.
async::Task<PromptEnd> run_prompt(env::Env* env, ApiClient* api, std::vector<PromptCommand>* more);

// `kvstore shell [--endpoints ...]`: over a server that runs.
ExitCode run_shell(const std::vector<std::string>& arguments);

// `kv_store`: the same; where no server answers, over a node of its own in ./kv_store_data
// (--data-dir).
ExitCode run_embedded_shell(const std::vector<std::string>& arguments);

}  // namespace kvstore::cli
