package gateway

import (
	"os"
	"path/filepath"

	"github.com/usher-http/usher/internal/gateway/config"
)

// LastGoodFile is the name of the copy of the configuration file, in the state folder, that was last put in place.
const LastGoodFile = "last-good.yaml"

// keepLastGood copies the file. That it cannot is no reason not to serve.
func (g *Gateway) keepLastGood(l *config.Loaded) {
	if err := copyFile(l.Path, l.State); err != nil {
		g.logger().Warn("last good configuration not kept", "error", err.Error())
	}
}

// copyFile replaces the copy in one step, so that it is never half a file.
func copyFile(from, dir string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, LastGoodFile+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it is gone already when all went well
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(dir, LastGoodFile))
}
