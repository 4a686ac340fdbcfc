# For fingers that know make. The work is done by ./dev.
.PHONY: all build test run lint format bench ci clean

all: build

build test run lint format bench ci:
	./dev $@

clean:
	rm -rf build bin
