using Microsoft.Extensions.DependencyInjection;
using Uml.Core.Bus;
using Uml.Core.Machine;

namespace Uml.Devices.Consoles;

/// <summary>Gives machines consoles.</summary>
public static class ConsoleBuilderExtensions
{
    /// <summary>Connects a serial port of the machine to a channel of the caller's, who also disposes it.</summary>
    /// <param name="builder">The machine, which has the standard board as well.</param>
    /// <param name="channel">The host's end of the console.</param>
    /// <param name="port">
    /// The guest's name of the port: ttyS0, where kernels have their console and panics are watched for, or ttyS1, ttyS2 or ttyS3, which
    /// exist when they are given a channel.
    /// </param>
    /// <exception cref="ArgumentException">There is no such port.</exception>
    /// <exception cref="InvalidOperationException">The port has a channel already.</exception>
    public static VirtualMachineBuilder AddConsole(this VirtualMachineBuilder builder, IConsoleChannel channel, string port = SerialPort.First)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(channel);
        
        // In a wrapper, which the container does not dispose.
        AddChannel(builder, port, _ => new CheckedConsoleChannel(channel));
        if (channel is IMachineDevice device)
        {
            builder.Services.AddSingleton(device);
        }

        if (channel is IMachineExitInterpreter interpreter)
        {
            builder.Services.AddSingleton(interpreter);
        }

        return builder;
    }

    /// <summary>Connects the machine's first serial port, ttyS0, to the process's standard input and output.</summary>
    /// <param name="builder">The machine.</param>
    /// <param name="configure">Changes how the streams are treated.</param>
    /// <exception cref="InvalidOperationException">The machine has a console already.</exception>
    public static VirtualMachineBuilder AddStdioConsole(this VirtualMachineBuilder builder, Action<StdioConsoleOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        AddChannel(builder, SerialPort.First, services => services.GetRequiredService<StdioConsoleChannel>());
        builder.Services.AddSingleton(_ =>
        {
            var options = new StdioConsoleOptions();
            configure?.Invoke(options);
            return new StdioConsoleChannel(options);
        });
        builder.Services.AddSingleton<IMachineDevice>(services => services.GetRequiredService<StdioConsoleChannel>());
        return builder;
    }

    /// <summary>Gives a machine a second serial port for control messages of a console's terminal, such as its size.</summary>
    /// <param name="builder">The machine.</param>
    /// <param name="console">The console, which the machine has as well.</param>
    /// <param name="port">The guest's name of the port: ttyS1, ttyS2 or ttyS3.</param>
    public static VirtualMachineBuilder AddTerminalControl(this VirtualMachineBuilder builder, StdioConsoleChannel console, string port = "ttyS1")
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(console);
        AddChannel(builder, port, _ => new TerminalControlChannel(console));
        return builder;
    }

    /// <summary>Registers the UART of a port, connected to the channel that is registered with the port's name, if there is one.</summary>
    internal static void AddUart(VirtualMachineBuilder builder, SerialPort port)
    {
        builder.Services.AddKeyedSingleton(port.Name, (services, _) => new Uart16550(
            port,
            services.GetKeyedService<IConsoleChannel>(port.Name) is { } channel ? new CheckedConsoleChannel(channel) : new NullConsoleChannel(),
            services.GetRequiredService<IInterruptRouter>()));
        builder.Services.AddSingleton<IMachineDevice>(services => services.GetRequiredKeyedService<Uart16550>(port.Name));
    }

    private static void AddChannel(VirtualMachineBuilder builder, string name, Func<IServiceProvider, IConsoleChannel> channel)
    {
        SerialPort port = SerialPort.Find(name);
        if (builder.Services.Any(service => service.ServiceType == typeof(IConsoleChannel) && Equals(service.ServiceKey, name)))
        {
            throw new InvalidOperationException($"This machine has a console already on {name}; a port has one.");
        }

        if (name != SerialPort.First)
        {
            AddUart(builder, port);
            builder.Services.AddKeyedSingleton(name, (services, _) => channel(services));
            return;
        }

        builder.Services.AddSingleton<KernelPanicMonitor>();
        builder.Services.AddSingleton<IMachineDevice>(services => services.GetRequiredService<KernelPanicMonitor>());
        builder.Services.AddSingleton<IMachineExitInterpreter>(services => services.GetRequiredService<KernelPanicMonitor>());
        builder.Services.AddKeyedSingleton<IConsoleChannel>(
            name,
            (services, _) => new MonitoredConsoleChannel(channel(services), services.GetRequiredService<KernelPanicMonitor>()));
    }
}
