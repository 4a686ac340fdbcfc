package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

type respStore struct {
	o          options
	connection net.Conn
	reader     *bufio.Reader
	out        []byte
}

func connectResp(o options, endpoint string) (store, error) {
	connection, err := net.DialTimeout("tcp", endpoint, time.Second)
	if err != nil {
		return nil, err
	}
	s := &respStore{o: o, connection: connection, reader: bufio.NewReaderSize(connection, 1<<16)}
	if o.eventual {
		s.append("CLIENT", "CONSISTENCY", "EVENTUAL")
		if err := s.exchange(1); err != nil {
			connection.Close()
			return nil, err
		}
	}
	return s, nil
}

func (s *respStore) close() { s.connection.Close() }

func (s *respStore) append(words ...string) {
	s.out = append(s.out, '*')
	s.out = strconv.AppendInt(s.out, int64(len(words)), 10)
	s.out = append(s.out, "\r\n"...)
	for _, word := range words {
		s.out = append(s.out, '$')
		s.out = strconv.AppendInt(s.out, int64(len(word)), 10)
		s.out = append(s.out, "\r\n"...)
		s.out = append(s.out, word...)
		s.out = append(s.out, "\r\n"...)
	}
}

func (s *respStore) run(isRead bool, keys []string, value string) error {
	replies := len(keys)
	for _, key := range keys {
		if isRead {
			s.append("GET", key)
		} else {
			s.append("SET", key, value)
		}
	}
	if !isRead && s.o.wait > 0 {
		s.append("WAIT", strconv.Itoa(s.o.wait), "0")
		replies++
	}
	return s.exchange(replies)
}

// Sends what was appended and reads so many replies.
func (s *respStore) exchange(replies int) error {
	if err := s.connection.SetDeadline(time.Now().Add(s.o.patience)); err != nil {
		return err
	}
	_, err := s.connection.Write(s.out)
	s.out = s.out[:0]
	for i := 0; i < replies && err == nil; i++ {
		err = s.reply()
	}
	return err
}

// Reads one reply: a line, or a bulk string.
func (s *respStore) reply() error {
	line, err := s.reader.ReadSlice('\n')
	if err != nil {
		return err
	}
	switch line[0] {
	case '+', ':':
		return nil
	case '-':
		return errors.New(string(line[1:]))
	case '$':
		size, err := strconv.Atoi(string(line[1 : len(line)-2]))
		if err != nil || size < 0 {
			return err
		}
		_, err = io.CopyN(io.Discard, s.reader, int64(size)+2)
		return err
	}
	return fmt.Errorf("a reply that begins with %q", line[0])
}
