#include "simulation/workload.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "base/parse.h"

namespace kvstore::simulation {
namespace {

using Words = std::vector<std::string_view>;

constexpr std::uint64_t kWeightMax = 1'000'000;

Status invalid(std::string message) {
    return {Code::kInvalidArgument, std::move(message)};
}

std::string quoted(std::string_view text) {
    return "'" + std::string(text) + "'";
}

Words split(std::string_view line) {
    constexpr std::string_view kBlanks = " \t\r";
    Words words;
    line = line.substr(0, line.find('#'));
    while (true) {
        const std::size_t begin = line.find_first_not_of(kBlanks);
        if (begin == std::string_view::npos) {
            return words;
        }
        line.remove_prefix(begin);
        const std::size_t end = std::min(line.find_first_of(kBlanks), line.size());
        words.push_back(line.substr(0, end));
        line.remove_prefix(end);
    }
}

template <std::uint32_t Options::* member, std::uint32_t most>
Status set_count(Options& options, const Words& words) {
    const auto number = words.size() == 2 ? parse_uint64(words[1]) : std::nullopt;
    if (!number || *number == 0 || *number > most) {
        return invalid(std::string(words[0]) + " takes a whole number from 1 to " +
                       std::to_string(most));
    }
    options.*member = static_cast<std::uint32_t>(*number);
    return {};
}

template <Duration Options::* member>
Status set_span(Options& options, const Words& words) {
    const auto span = words.size() == 2 ? parse_duration(words[1]) : std::nullopt;
    if (!span || *span <= Duration(0) || *span > std::chrono::hours(24 * 365)) {
        return invalid(std::string(words[0]) + " takes a time such as 500ms, 30s or 2h");
    }
    options.*member = *span;
    return {};
}

struct Weight {
    std::string_view name;
    std::uint32_t Mix::* member;
};

constexpr std::array kWeights{Weight{"read", &Mix::read},
                              Weight{"write", &Mix::write},
                              Weight{"delete", &Mix::remove},
                              Weight{"compare-and-set", &Mix::compare_and_set},
                              Weight{"increment", &Mix::increment},
                              Weight{"append", &Mix::append},
                              Weight{"expire", &Mix::expire},
                              Weight{"scan", &Mix::scan},
                              Weight{"read-many", &Mix::read_many},
                              Weight{"batch", &Mix::batch},
                              Weight{"conditional", &Mix::conditional}};

std::string weight_names() {
    std::string names;
    for (const Weight& weight : kWeights) {
        names += (names.empty() ? "" : ", ") + std::string(weight.name);
    }
    return names;
}

Status set_mix(Options& options, const Words& words) {
    Mix mix;
    for (const Weight& weight : kWeights) {
        mix.*(weight.member) = 0;
    }
    std::uint64_t total = 0;
    for (std::size_t i = 1; i < words.size(); ++i) {
        const std::size_t equals = words[i].find('=');
        const auto name = words[i].substr(0, equals);
        const auto* const weight = std::ranges::find(kWeights, name, &Weight::name);
        const auto number = equals == std::string_view::npos
                                ? std::nullopt
                                : parse_uint64(words[i].substr(equals + 1));
        if (weight == kWeights.end() || !number || *number > kWeightMax) {
            return invalid(quoted(words[i]) +
                           " is no weight: name=N with N up to 1000000, and a name of " +
                           weight_names());
        }
        mix.*(weight->member) = static_cast<std::uint32_t>(*number);
        total += *number;
    }
    if (total == 0) {
        return invalid("mix needs an operation, such as read=50 write=50");
    }
    options.mix = mix;
    return {};
}

Status set_faults(Options& options, const Words& words) {
    std::vector<FaultKind> kinds;
    if (words.size() == 2 && words[1] == "none") {
        options.faults = kinds;
        return {};
    }
    std::vector<std::string_view> names;
    for (std::size_t i = 0; i < kFaultKinds; ++i) {
        names.push_back(fault_name(static_cast<FaultKind>(i)));
    }
    const bool is_all = words.size() == 2 && words[1] == "all";
    const Words chosen = is_all ? names : Words(words.begin() + 1, words.end());
    for (const std::string_view name : chosen) {
        const auto kind = find_fault(name);
        if (!kind) {
            const std::string_view near = nearest_spelling(name, names);
            return invalid(quoted(name) + " is no kind of fault" +
                           (near.empty() ? "; docs/reference/simulate.md lists them"
                                         : ", did you mean " + quoted(near) + "?"));
        }
        kinds.push_back(*kind);
    }
    if (kinds.empty()) {
        return invalid("faults takes none, all, or kinds");
    }
    options.faults = std::move(kinds);
    return {};
}

struct Setting {
    std::string_view name;
    Status (*set)(Options& options, const Words& words);
};

constexpr std::array kSettings{
    Setting{"nodes", set_count<&Options::nodes, kNodesMax>},
    Setting{"clients", set_count<&Options::clients, kClientsMax>},
    Setting{"keys", set_count<&Options::keys, kKeysMax>},
    Setting{"keyspaces", set_count<&Options::keyspaces, kKeyspacesMax>},
    Setting{"length", set_span<&Options::length>},
    Setting{"pause", set_span<&Options::pause>},
    Setting{"recovery", set_span<&Options::recovery_max>},
    Setting{"mix", set_mix},
    Setting{"faults", set_faults},
};

Status apply_line(Options& options, const Words& words) {
    const auto* const setting = std::ranges::find(kSettings, words[0], &Setting::name);
    if (setting != kSettings.end()) {
        return setting->set(options, words);
    }
    std::vector<std::string_view> names;
    for (const Setting& each : kSettings) {
        names.push_back(each.name);
    }
    const std::string_view near = nearest_spelling(words[0], names);
    return invalid(quoted(words[0]) + " is no setting" +
                   (near.empty()
                        ? ": nodes, clients, keys, keyspaces, length, pause, recovery, mix, "
                          "faults"
                        : ", did you mean " + quoted(near) + "?"));
}

}  // namespace

Status apply_workload(Options& options, std::string_view text) {
    std::size_t number = 0;
    while (!text.empty()) {
        ++number;
        const std::size_t end = std::min(text.find('\n'), text.size());
        const Words words = split(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (words.empty()) {
            continue;
        }
        const Status applied = apply_line(options, words);
        if (!applied.ok()) {
            return applied.with_context("line " + std::to_string(number));
        }
    }
    return {};
}

}  // namespace kvstore::simulation
