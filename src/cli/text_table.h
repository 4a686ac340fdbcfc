// Rows of text in aligned columns, two blanks between them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace kvstore::cli {

class TextTable {
public:
    explicit TextTable(std::vector<std::string> head) { add(std::move(head)); }

    // Requires: as many cells as the head has.
    void add(std::vector<std::string> row);
    // Each line ends without blanks.
    [[nodiscard]] std::string text() const;

private:
    std::vector<std::vector<std::string>> rows_;
    std::vector<std::size_t> widths_;
};

}  // namespace kvstore::cli
