import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Statement;

/*
 * What test_clients.py has JDBC do: statements by literal and by parameter, and
 * rows by a bulk function from arrays of native types. The argument is the URL.
 */
public class Client
{
	private static final String BULK =
		"SELECT inserted FROM dbutil.bulk_insert_columns('loaded', '{id,price,note}', '{}', ?, ?, ?)";

	public static void main(String[] args) throws Exception
	{
		try (Connection connection = DriverManager.getConnection(args[0]))
		{
			connection.setAutoCommit(false);
			try (Statement statement = connection.createStatement())
			{
				for (int i = 1; i <= 20; i++)
					statement.executeQuery("SELECT bid FROM ticks WHERE id = " + i).close();
			}
			connection.commit();
			try (PreparedStatement statement = connection.prepareStatement("SELECT pair FROM ticks WHERE id = ?"))
			{
				for (int i = 1; i <= 20; i++)
				{
					statement.setInt(1, i);
					statement.executeQuery().close();
				}
			}
			connection.commit();
			try (PreparedStatement statement = connection.prepareStatement(BULK))
			{
				statement.setArray(1, connection.createArrayOf("int4", new Integer[] {1, 2}));
				statement.setArray(2, connection.createArrayOf("numeric", new BigDecimal[] {new BigDecimal("1.10"), null}));
				statement.setArray(3, connection.createArrayOf("text", new String[] {"a,\"b\\", "\u20ac"}));
				try (ResultSet result = statement.executeQuery())
				{
					result.next();
					System.out.println(result.getLong(1));
				}
			}
			connection.commit();
		}
	}
}
