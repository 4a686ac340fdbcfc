#include "metrics/registry.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/assert.h"

namespace kvstore::metrics {
namespace {

// Quantiles that summaries show, with their text as Prometheus users write it.
struct Quantile {
    double fraction;
    std::string_view text;
};
constexpr std::array kQuantiles{Quantile{0.5, "0.5"},
                                Quantile{0.9, "0.9"},
                                Quantile{0.95, "0.95"},
                                Quantile{0.99, "0.99"},
                                Quantile{0.999, "0.999"}};

// Bucket bounds in recorded units. For times: 1, 2.5 and 5 of every power of ten from 1 µs to 10 s.
constexpr std::array<std::uint64_t, 22> kTimeBounds{
    1'000,         2'500,         5'000,         10'000,        25'000,      50'000,
    100'000,       250'000,       500'000,       1'000'000,     2'500'000,   5'000'000,
    10'000'000,    25'000'000,    50'000'000,    100'000'000,   250'000'000, 500'000'000,
    1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000};
constexpr std::array<std::uint64_t, 14> kSizeBounds{64,
                                                    256,
                                                    1'024,
                                                    4'096,
                                                    16'384,
                                                    65'536,
                                                    262'144,
                                                    1U << 20U,
                                                    1U << 22U,
                                                    1U << 24U,
                                                    1U << 26U,
                                                    1U << 28U,
                                                    1U << 30U,
                                                    1ULL << 32U};
constexpr std::array<std::uint64_t, 13> kCountBounds{
    1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1'024, 4'096, 16'384};

std::pair<const std::uint64_t*, std::size_t> bounds_of(Unit unit) {
    switch (unit) {
        case Unit::kNanoseconds: return {kTimeBounds.data(), kTimeBounds.size()};
        case Unit::kBytes: return {kSizeBounds.data(), kSizeBounds.size()};
        case Unit::kCount: break;
    }
    return {kCountBounds.data(), kCountBounds.size()};
}

double scaled(std::uint64_t value, Unit unit) {
    return unit == Unit::kNanoseconds ? static_cast<double>(value) / 1e9
                                      : static_cast<double>(value);
}

void append_number(std::string& to, double value) {
    if (std::isnan(value)) {
        to += "NaN";
    } else if (std::isinf(value)) {
        to += value > 0 ? "+Inf" : "-Inf";
    } else {
        std::array<char, 64> text;
        const auto end = std::to_chars(
            text.data(), text.data() + text.size(), value, std::chars_format::general);
        to.append(text.data(), end.ptr);
    }
}

void append_number(std::string& to, std::uint64_t value) {
    to += std::to_string(value);
}

enum class Escape : std::uint8_t { kHelp, kLabel };

void append_escaped(std::string& to, std::string_view text, Escape escape) {
    for (const char c : text) {
        if (c == '\\') {
            to += "\\\\";
        } else if (c == '\n') {
            to += "\\n";
        } else if (c == '"' && escape == Escape::kLabel) {
            to += "\\\"";
        } else {
            to += c;
        }
    }
}

std::string label_text(const Labels& labels) {
    std::string text;
    for (const auto& [name, value] : labels) {
        text += text.empty() ? "" : ",";
        text += name + "=\"";
        append_escaped(text, value, Escape::kLabel);
        text += '"';
    }
    return text;
}

// One line: name, suffix, labels with `extra` behind them, value.
template <typename Number>
void append_sample(std::string& to,
                   std::string_view name,
                   std::string_view labels,
                   std::string_view extra,
                   Number value) {
    to += name;
    if (!labels.empty() || !extra.empty()) {
        to += '{';
        to += labels;
        to += !labels.empty() && !extra.empty() ? "," : "";
        to += extra;
        to += '}';
    }
    to += ' ';
    append_number(to, value);
    to += '\n';
}

bool is_name(std::string_view name) {
    const auto is_letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    };
    return !name.empty() && is_letter(name.front()) &&
           std::all_of(name.begin(), name.end(), [&](char c) {
               return is_letter(c) || (c >= '0' && c <= '9');
           });
}

bool has_label(const Labels& labels, std::string_view wanted) {
    return std::any_of(labels.begin(), labels.end(), [wanted](const auto& label) {
        return label.first == wanted;
    });
}

}  // namespace

// Everything under one name and one set of labels, of all cores.
struct Registry::Series {
    struct Source {
        std::uint64_t id = 0;
        Callback<double()> read;
    };

    std::vector<std::unique_ptr<Counter>> counters;
    std::vector<std::unique_ptr<Gauge>> gauges;
    std::vector<std::unique_ptr<Histogram>> histograms;
    std::vector<Source> sources;
    Unit unit = Unit::kCount;

    // A summary is over what came after `window_begin`, which follows one window behind.
    HistogramSnapshot window_begin;
    HistogramSnapshot window_middle;
    std::optional<MonotonicTime> middle_taken;

    [[nodiscard]] bool is_empty() const {
        return counters.empty() && gauges.empty() && histograms.empty() && sources.empty();
    }

    [[nodiscard]] std::uint64_t count() const {
        std::uint64_t total = 0;
        for (const auto& counter : counters) {
            total += counter->value();
        }
        return total;
    }

    [[nodiscard]] double number() {
        double total = static_cast<double>(count());
        for (const auto& gauge : gauges) {
            total += static_cast<double>(gauge->value());
        }
        for (Source& source : sources) {
            total += source.read();
        }
        return total;
    }

    [[nodiscard]] HistogramSnapshot merged() const {
        HistogramSnapshot all;
        for (const auto& histogram : histograms) {
            all.merge(histogram->snapshot());
        }
        return all;
    }

    HistogramSnapshot window(const HistogramSnapshot& all, MonotonicTime now) {
        if (!middle_taken.has_value()) {
            middle_taken = now;
        } else if (now - *middle_taken >= kSummaryWindow) {
            // After a long silence both ends of the window are old.
            const bool is_stale = now - *middle_taken >= 2 * kSummaryWindow;
            window_begin = is_stale ? all : std::move(window_middle);
            window_middle = all;
            middle_taken = now;
            if (is_stale) {
                return HistogramSnapshot();
            }
        }
        return all.since(window_begin);
    }
};

struct Registry::Family {
    std::string help;
    Type type = Type::kCounter;
    std::map<std::string, Series> series;  // by the text of their labels

    [[nodiscard]] std::string_view type_name() const {
        switch (type) {
            case Type::kCounter: return "counter";
            case Type::kGauge: return "gauge";
            case Type::kHistogram: return "histogram";
            case Type::kSummary: break;
        }
        return "summary";
    }

    void expose_header(std::string& to, const std::string& name) const {
        to += "# HELP " + name + " ";
        append_escaped(to, help, Escape::kHelp);
        to += "\n# TYPE " + name + " ";
        to += type_name();
        to += '\n';
    }

    static void expose_buckets(std::string& to,
                               const std::string& name,
                               const std::string& labels,
                               const HistogramSnapshot& all,
                               Unit unit) {
        const auto [bounds, count] = bounds_of(unit);
        for (std::size_t i = 0; i < count; ++i) {
            std::string bound = "le=\"";
            append_number(bound, scaled(bounds[i], unit));
            bound += '"';
            append_sample(to, name + "_bucket", labels, bound, all.count_up_to(bounds[i]));
        }
        append_sample(to, name + "_bucket", labels, "le=\"+Inf\"", all.count());
    }

    static void expose_quantiles(std::string& to,
                                 const std::string& name,
                                 const std::string& labels,
                                 const HistogramSnapshot& window,
                                 Unit unit) {
        for (const Quantile& quantile : kQuantiles) {
            const std::string extra = "quantile=\"" + std::string(quantile.text) + "\"";
            const double value = window.count() == 0
                                     ? std::nan("")
                                     : scaled(window.quantile(quantile.fraction), unit);
            append_sample(to, name, labels, extra, value);
        }
    }

    void expose_series(std::string& to,
                       const std::string& name,
                       const std::string& labels,
                       Series& one,
                       MonotonicTime now) const {
        if (type == Type::kCounter && one.sources.empty()) {
            append_sample(to, name, labels, "", one.count());
            return;
        }
        if (type == Type::kCounter || type == Type::kGauge) {
            append_sample(to, name, labels, "", one.number());
            return;
        }
        const HistogramSnapshot all = one.merged();
        if (type == Type::kHistogram) {
            expose_buckets(to, name, labels, all, one.unit);
        } else {
            expose_quantiles(to, name, labels, one.window(all, now), one.unit);
        }
        append_sample(to, name + "_sum", labels, "", scaled(all.sum(), one.unit));
        append_sample(to, name + "_count", labels, "", all.count());
    }
};

Registration& Registration::operator=(Registration&& other) noexcept {
    std::swap(registry_, other.registry_);
    std::swap(id_, other.id_);
    return *this;
}

Registration::~Registration() {
    if (registry_ != nullptr) {
        registry_->remove_callback(id_);
    }
}

Registry::Registry() = default;
Registry::~Registry() = default;

Registry::Series& Registry::series(std::string_view name,
                                   std::string_view help,
                                   Type type,
                                   Labels labels) {
    KVSTORE_ASSERT(is_name(name));
    KVSTORE_ASSERT(type != Type::kCounter || name.ends_with("_total"));
    // The text format makes these two itself.
    KVSTORE_ASSERT(!has_label(labels, "le") && !has_label(labels, "quantile"));
    for (const auto& label : labels) {
        KVSTORE_ASSERT(is_name(label.first));
    }
    const auto [at, is_new] = families_.try_emplace(std::string(name));
    Family& family = at->second;
    if (is_new) {
        family.help = help;
        family.type = type;
    }
    KVSTORE_ASSERT(family.type == type && family.help == help);
    return family.series[label_text(labels)];
}

Counter& Registry::add_counter(std::string_view name, std::string_view help, Labels labels) {
    const std::lock_guard lock(mutex_);
    Series& one = series(name, help, Type::kCounter, std::move(labels));
    return *one.counters.emplace_back(std::make_unique<Counter>());
}

Gauge& Registry::add_gauge(std::string_view name, std::string_view help, Labels labels) {
    const std::lock_guard lock(mutex_);
    Series& one = series(name, help, Type::kGauge, std::move(labels));
    return *one.gauges.emplace_back(std::make_unique<Gauge>());
}

Histogram& Registry::add_histogram(
    std::string_view name, std::string_view help, Labels labels, Unit unit, HistogramForm form) {
    const std::lock_guard lock(mutex_);
    const Type type = form == HistogramForm::kSummary ? Type::kSummary : Type::kHistogram;
    Series& one = series(name, help, type, std::move(labels));
    KVSTORE_ASSERT(one.histograms.empty() || one.unit == unit);
    one.unit = unit;
    return *one.histograms.emplace_back(std::make_unique<Histogram>());
}

Registration Registry::add_callback(std::string_view name,
                                    std::string_view help,
                                    Type type,
                                    Labels labels,
                                    Callback<double()> read) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t id = ++last_callback_;
    series(name, help, type, std::move(labels))
        .sources.push_back(Series::Source{.id = id, .read = std::move(read)});
    return Registration(*this, id);
}

Registration Registry::add_gauge_callback(std::string_view name,
                                          std::string_view help,
                                          Labels labels,
                                          Callback<double()> read) {
    return add_callback(name, help, Type::kGauge, std::move(labels), std::move(read));
}

Registration Registry::add_counter_callback(std::string_view name,
                                            std::string_view help,
                                            Labels labels,
                                            Callback<double()> read) {
    return add_callback(name, help, Type::kCounter, std::move(labels), std::move(read));
}

void Registry::remove_callback(std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    for (auto& [name, family] : families_) {
        for (auto at = family.series.begin(); at != family.series.end();) {
            std::erase_if(at->second.sources,
                          [id](const Series::Source& source) { return source.id == id; });
            at = at->second.is_empty() ? family.series.erase(at) : std::next(at);
        }
    }
}

std::string Registry::expose(MonotonicTime now) {
    const std::lock_guard lock(mutex_);
    std::string text;
    for (auto& [name, family] : families_) {
        if (family.series.empty()) {
            continue;
        }
        family.expose_header(text, name);
        for (auto& [labels, one] : family.series) {
            family.expose_series(text, name, labels, one, now);
        }
    }
    return text;
}

double Registry::value(std::string_view name, const Labels& labels) {
    const std::lock_guard lock(mutex_);
    const auto family = families_.find(name);
    if (family == families_.end()) {
        return 0;
    }
    const auto one = family->second.series.find(label_text(labels));
    return one == family->second.series.end() ? 0 : one->second.number();
}

}  // namespace kvstore::metrics
