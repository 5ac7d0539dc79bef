import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import javax.net.SocketFactory;
import java.net.InetAddress;

/* JDBC speaks TCP alone; our servers listen on unix sockets: socketFactoryArg is the path of one. */
public class UnixSocketFactory extends SocketFactory
{
	private final String path;

	public UnixSocketFactory(String path)
	{
		this.path = path;
	}

	private class UnixSocket extends Socket
	{
		private SocketChannel channel;

		@Override
		public void connect(SocketAddress ignored, int timeout) throws IOException
		{
			channel = SocketChannel.open(UnixDomainSocketAddress.of(path));
		}

		@Override
		public InputStream getInputStream()
		{
			return Channels.newInputStream(channel);
		}

		@Override
		public OutputStream getOutputStream()
		{
			return Channels.newOutputStream(channel);
		}

		@Override
		public synchronized void close() throws IOException
		{
			if (channel != null)
				channel.close();
		}

		@Override
		public boolean isConnected()
		{
			return channel != null && channel.isConnected();
		}

		@Override
		public void setTcpNoDelay(boolean on) {}

		@Override
		public void setKeepAlive(boolean on) {}

		@Override
		public synchronized void setSoTimeout(int timeout) {}

		@Override
		public synchronized int getSoTimeout()
		{
			return 0;
		}
	}

	@Override
	public Socket createSocket()
	{
		return new UnixSocket();
	}

	@Override
	public Socket createSocket(String host, int port)
	{
		throw new UnsupportedOperationException();
	}

	@Override
	public Socket createSocket(String host, int port, InetAddress local, int localPort)
	{
		throw new UnsupportedOperationException();
	}

	@Override
	public Socket createSocket(InetAddress host, int port)
	{
		throw new UnsupportedOperationException();
	}

	@Override
	public Socket createSocket(InetAddress host, int port, InetAddress local, int localPort)
	{
		throw new UnsupportedOperationException();
	}
}
