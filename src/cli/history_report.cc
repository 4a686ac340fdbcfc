#include "cli/history_report.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <set>
#include <span>
#include <string_view>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/json_escape.h"
#include "base/parse.h"
#include "cli/progress_bar.h"

namespace kvstore::cli {
namespace {

namespace json = boost::json;

using history::CheckReport;
using history::Operation;
using history::Verdict;
using history::Verification;
using history::Violation;

constexpr std::size_t kUndecidedShownMax = 5;
// Of a window, counted from its end: what came just before is what matters.
constexpr std::size_t kWindowShownMax = 20;

struct NamedReport {
    std::string_view name;
    const CheckReport& report;
};

std::array<NamedReport, 5> named_reports(const Verification& verification) {
    return {NamedReport{"linearizability", verification.linearizability},
            NamedReport{"durability", verification.durability},
            NamedReport{"counters", verification.counters},
            NamedReport{"sessions", verification.sessions},
            NamedReport{"weak reads", verification.weak_reads}};
}

// Nothing of a kind was in the history, so that "holds" would say too much.
bool had_nothing_to_do(const CheckReport& report) {
    return report.verdict() == Verdict::kHolds && report.operation_count == 0;
}

std::string_view verdict_text(const CheckReport& report) {
    return had_nothing_to_do(report) ? "nothing to check" : verdict_name(report.verdict());
}

void append_cell(std::string& text, std::string cell, std::size_t width) {
    cell.resize(std::max(cell.size() + 2, width), ' ');
    text += cell;
}

std::string summary_text(const HistoryFile& file) {
    std::set<history::ClientId> clients;
    std::set<ByteView> keys;
    std::uint64_t unknown = 0;
    for (const Operation& operation : file.history) {
        clients.insert(operation.client);
        keys.insert(operation.key);
        unknown += operation.outcome == history::Outcome::kUnknown ? 1 : 0;
    }
    return with_thousands(file.history.size()) + " operations on " + with_thousands(keys.size()) +
           " keys by " + with_thousands(clients.size()) + " clients, " + with_thousands(unknown) +
           " of unknown outcome\n\n";
}

std::string report_line(const NamedReport& named) {
    std::string line;
    append_cell(line, std::string(named.name), 17);
    append_cell(line, std::string(verdict_text(named.report)), 18);
    append_cell(line, with_thousands(named.report.key_count) + " keys", 14);
    append_cell(line, with_thousands(named.report.operation_count) + " answers", 18);
    append_cell(line, with_thousands(named.report.violation_count) + " violations", 14);
    if (named.report.skipped_count > 0) {
        line += with_thousands(named.report.skipped_count) + " could not be judged";
    }
    line.resize(line.find_last_not_of(' ') + 1);
    return line + "\n";
}

std::string window_text(const HistoryFile& file, const Violation& violation) {
    std::string text;
    std::span<const std::size_t> window = violation.window;
    if (window.size() > kWindowShownMax) {
        const std::size_t hidden = window.size() - kWindowShownMax;
        text += "    " + with_thousands(hidden) + " earlier ones; -o json has them\n";
        window = window.subspan(hidden);
    }
    for (const std::size_t place : window) {
        const Operation& operation = file.history[place];
        std::string line = place == violation.culprit ? "  > " : "    ";
        append_cell(line, "line " + std::to_string(file.lines[place]), 16);
        append_cell(line, "client " + std::to_string(operation.client.value()), 12);
        const std::string called = std::to_string(operation.called.time_since_epoch().count());
        const bool is_ok = operation.outcome == history::Outcome::kOk;
        append_cell(line,
                    called + " .. " +
                        (is_ok ? std::to_string(operation.returned.time_since_epoch().count())
                               : std::string("?")),
                    24);
        text += line + history::operation_text(operation) + "\n";
    }
    return text;
}

std::string findings_text(const HistoryFile& file, const NamedReport& named) {
    std::string text;
    for (const Violation& violation : named.report.violations) {
        text += "\n" + std::string(named.name) + ", key " + history::value_text(violation.key) +
                ": " + violation.reason + "\n" + window_text(file, violation);
    }
    const std::uint64_t shown = named.report.violations.size();
    if (named.report.violation_count > shown) {
        text += "\n" + std::string(named.name) + ": " +
                with_thousands(named.report.violation_count - shown) + " more\n";
    }
    const std::size_t undecided = named.report.undecided.size();
    if (undecided > 0) {
        text += "\n" + std::string(named.name) + " is undecided for " + with_thousands(undecided) +
                " keys; a larger --budget may tell:";
        for (std::size_t i = 0; i < std::min(undecided, kUndecidedShownMax); ++i) {
            text += " " + history::value_text(named.report.undecided[i]);
        }
        text += undecided > kUndecidedShownMax ? " ...\n" : "\n";
    }
    return text;
}

json::object key_object(ByteView key) {
    json::object body;
    if (is_utf8(key)) {
        body["key"] = key;
    } else {
        body["key_base64"] = base64_encode(key);
    }
    return body;
}

json::object violation_object(const HistoryFile& file, const Violation& violation) {
    json::object body = key_object(violation.key);
    body["reason"] = violation.reason;
    json::array& window = body["operations"].emplace_array();
    for (const std::size_t place : violation.window) {
        json::object item;
        item["line"] = file.lines[place];
        item["explained"] = place != violation.culprit;
        item["operation"] = json::parse(format_history_line(file.history[place]));
        window.push_back(std::move(item));
    }
    return body;
}

json::object report_object(const HistoryFile& file, const NamedReport& named) {
    const CheckReport& report = named.report;
    json::object body;
    body["check"] = named.name;
    body["verdict"] = verdict_text(report);
    body["keys"] = report.key_count;
    body["answers"] = report.operation_count;
    body["skipped"] = report.skipped_count;
    body["configurations"] = report.configuration_count;
    body["violations"] = report.violation_count;
    json::array& explanations = body["explanations"].emplace_array();
    for (const Violation& violation : report.violations) {
        explanations.push_back(violation_object(file, violation));
    }
    json::array& undecided = body["undecided"].emplace_array();
    for (const Bytes& key : report.undecided) {
        undecided.push_back(key_object(key));
    }
    return body;
}

}  // namespace

std::string verification_text(const HistoryFile& file, const Verification& verification) {
    std::string text = summary_text(file);
    for (const NamedReport& named : named_reports(verification)) {
        text += report_line(named);
    }
    for (const NamedReport& named : named_reports(verification)) {
        text += findings_text(file, named);
    }
    switch (verification.verdict()) {
        case Verdict::kHolds: return text + "\nall checks hold\n";
        case Verdict::kViolated: return text + "\nVIOLATED\n";
        case Verdict::kUndecided: return text + "\nUNDECIDED\n";
    }
    return text;
}

std::string verification_json(const HistoryFile& file, const Verification& verification) {
    json::object body;
    body["operations"] = file.history.size();
    body["verdict"] = verdict_name(verification.verdict());
    json::array& checks = body["checks"].emplace_array();
    for (const NamedReport& named : named_reports(verification)) {
        checks.push_back(report_object(file, named));
    }
    return json::serialize(body) + "\n";
}

}  // namespace kvstore::cli
